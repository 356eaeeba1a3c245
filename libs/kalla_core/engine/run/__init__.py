"""A whole run in one process, and the search for the row that made it fail."""
