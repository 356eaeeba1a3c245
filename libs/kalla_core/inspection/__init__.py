"""Looking at recipes and sources without running anything: validate, explain, preview.

    explain     how a recipe would be run, and why so
    preview     columns, types and first rows of a source
    guess       how a source seems to be written
    documents   what was found, as JSON, the same on the command line and over HTTP
    request     what is asked of an inspection, as data that travels
    child       the process that carries one out: `python -m kalla_core.inspection.child`
    ask         asking such a process, with bounds on memory and time

The command line looks in its own process. A service asks a child, because planning folds constants
without a bound on memory, and because a source that hangs must not hang the service.
"""
