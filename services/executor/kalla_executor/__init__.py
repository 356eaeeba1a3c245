"""The executor: fragments on many machines. It is empty: recipes run in process so far."""
