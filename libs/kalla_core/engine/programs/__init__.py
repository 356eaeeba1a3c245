"""The processes that do the work, and what they and their parents tell each other."""
