"""The pieces of a run that executors carry out."""
