"""What people decide about rows without a partner: laid over evidence, which never changes.

A row becomes an exception when somebody touches it. What was decided is a list of events that only
grows; it holds for the row's key in the recipe, so the next run that leaves the row open again
shows what was decided before.

    life    what an exception is after each decision; pure
    book    keeps decisions, and lays them over the rows of a run
"""
