"""What changed between two runs of one recipe, by key.

states      what became of each key of a side, as numbers, some classes of keys at a time
changes     the kinds of change, counted, with examples
"""
