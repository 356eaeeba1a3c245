"""Two versions of a table beside each other: what `kalla diff` does, as data.

    columns  which columns of both sides belong together, by name and type
    recipe   the recipe that compares them
    found    what a run of it says: rows of one side, repeated keys, columns that differ

The run is a run like any other; its evidence holds every row and every difference.
"""
