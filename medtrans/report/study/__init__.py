"""A study as people look at it: one HTML page, and its tables as files."""
