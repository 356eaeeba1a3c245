"""Which candidates of a pass are matches: decided over row numbers and ranks, nothing else.

    settle       iterated mutual best: accepted, tied, left over
    components   which rows hang together
    ranks        order of candidates by their rank columns, and what lies within a margin
    in_order     the same one by one, for candidates that each wait for the next
    units        amounts as whole numbers
    subsets      sets of amounts that add up to another
    nearest_sums of those that do not the nearest

All of it is pure: what a pass accepts depends on its candidates alone, not on the order in which
they come, nor on who found them.
"""
