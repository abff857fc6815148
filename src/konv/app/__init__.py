"""What people touch: commands, figures, the report page."""
