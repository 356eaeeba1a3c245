"""What a user writes down: two sources, their keys, a rule and how to run it."""
