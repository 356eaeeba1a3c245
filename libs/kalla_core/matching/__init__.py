"""From match SQL to something that can be run in pieces without changing its answer."""
