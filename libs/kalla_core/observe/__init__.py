"""Logs: one event name with fields per line."""
