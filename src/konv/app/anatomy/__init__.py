"""A network's anatomy for people: table, Markdown, page with a drawing, one layer at length, lessons on a picture."""
