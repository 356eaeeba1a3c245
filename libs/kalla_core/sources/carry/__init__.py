"""Open items over periods: a source that has what an earlier run left open as well.

That is its unmatched rows, and those that were matched in part, with what of them is open.

    evidence   the earlier run, looked at: which rows it left open, and when it was
    columns    new and carried rows as rows of one table, with three columns behind their own
    connector  what reads both, around the connector that reads the new rows

Three columns are added to all rows:

    first_open_run  text: the run that left the row open first; null in new rows
    open_amount     of the amount's type: what it was when it was left open, or the amount
    age_days        int64: from `age_from` to `as_of`; where no column is named 0 in new rows, and
                    in carried ones the days between the runs, added up

An age counts to `as_of`, which the recipe states, or to the day (in UTC) on which the run started:
never to the time at which a row happens to be read. It is null where `age_from` is.
"""
