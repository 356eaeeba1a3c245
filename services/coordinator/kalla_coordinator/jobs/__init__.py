"""Jobs: what the coordinator remembers of a run, and what it does next about it."""
