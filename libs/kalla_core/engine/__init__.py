"""What carries fragments out: scan, spool, join, reasons, settle, and their local host."""
