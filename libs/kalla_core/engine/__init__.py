"""What carries fragments out: scan, spool, join, reasons, settle, and the local host of them all."""
