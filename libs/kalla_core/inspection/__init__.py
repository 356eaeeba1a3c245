"""Looking at recipes and sources: validate, explain, preview; infer a recipe and try it on samples.

    explain     how a recipe would be run, and why so
    preview     columns, types and first rows of a source
    sampling    some rows of both sources of a recipe, chosen so that partners stay together
    proposing   a recipe out of them, held against the sources
    trial       a recipe on samples, by the engine, and rows of what came of it
    proving     a recipe proposed or given, and its trial
    asked       sources and judged pairs, as whoever asks for inference names them
    guess       how a source seems to be written
    documents, proposal_document
                what was found, as JSON, the same on the command line and over HTTP
    request     what is asked of an inspection, as data that travels
    child       the process that carries one out: `python -m kalla_core.inspection.child`
    ask         asking such a process, with bounds on memory and time

The command line looks in its own process. A service asks a child, because planning folds constants
without a bound on memory, and because a source that hangs must not hang the service.
"""
