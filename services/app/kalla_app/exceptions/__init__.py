"""What people decide about rows without a partner: laid over evidence, which never changes.

A row becomes an exception when somebody touches it. What was decided is a list of events that only
grows; it holds for the row's key in the recipe, so the next run that leaves the row open again
shows what was decided before.

    life      what an exception is after each decision; pure
    policy    what a recipe demands of decisions; pure
    age       buckets of age, and severity; pure
    book      keeps decisions, and lays them over the rows of a run
    follow    what later runs show of exceptions: gone, or open again
    ages      how long rows have been open, one file per run; ages_file writes and reads it
    heap      the open rows of one side as arrays, with what was decided
    laid      the newest runs with what was decided laid over them, kept while nothing changes
    bench     exceptions of all recipes in queues
"""
