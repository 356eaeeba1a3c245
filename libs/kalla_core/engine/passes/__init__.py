"""Runs that reconcile: passes in order, each over the rows that no earlier one consumed.

    plan        each pass's SQL planned, and what is wrong with the columns that the recipe names
    found       the candidates of a pass with all that is written of them, held or on disk
    whole       the rows of both sides by dense numbers, wherever the store holds them
    finding     candidates of one match SQL, joined as a run of it alone would join them
    sums        sets of rows that add up to one, and groups that balance
    rests       what accepted matches leave open of a row
    deciding    which candidates are accepted, held, left over: over numbers and ranks only
    proof       that no row is in more matches than its pass allows
    writing     matched, suggested, ambiguous and both unmatched outputs
    comparing   compared columns of matched pairs
    remarks     what a pass has to say of rows that it does not match
    attempts    ... and what each pass made of them, row by row
    explaining  the reasons of rows that no pass consumed
    behind      what is done of a pass while the next is carried out
    settling    these rows, written
    totals      control totals of both sides, and what each pass consumed
    reconciling all of these together, over rows that are read
    job         a run of them in one process
    fragment    ... and on one executor of a cluster

The candidates of a pass are computed once, and kept with the columns of the SQL until it is known
which of them count; wide rows are not looked at to decide that.
"""
