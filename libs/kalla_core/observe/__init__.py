"""Logs, one event name with fields per line; what is counted alike in several services."""
