"""Commands, one file each: `command(...)`; the first docstring line is what `konv --help` says of it."""
