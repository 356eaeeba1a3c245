"""Units of work as plain data: what to scan, what to join, what to settle."""
