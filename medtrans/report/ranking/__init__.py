"""A ranking as people look at it: a table on the terminal, CSV, JSON, one HTML page."""
