"""Places in Kalla's processes where tests stop them: each is a moment in the life of a job."""

PLANNING = "kalla_core.engine.programs.holder:_Held.plan"
"""The sources are pinned; nothing has been read."""

COLLECTING = "kalla_core.evidence.collect:collect"
"""All fragments are done; what counts is about to be moved together."""

COMMITTING = "kalla_core.evidence.publish:publish"
"""It is stored that the job commits; nothing shows yet."""

COMMITTED = "kalla_coordinator.cluster.telling:Telling.committed"
"""The evidence shows; that the job has succeeded is not stored."""

CANCELLING = "kalla_coordinator.jobs.runner:Runner.stop"
"""It is stored that somebody wants the job to stop; nobody has been told to."""

SETTLING = "kalla_coordinator.callbacks.outbox:Outbox._settle"
"""The caller has taken a callback; that it is owed no more is not stored."""

SCANNING = "kalla_core.engine.fragments.scan_fragment:run_scan"
"""A slot has a part to read."""

SPOOLING = "kalla_core.engine.spool.published:publish"
"""A slot has written a spool file that nobody sees yet."""

FETCHING = "kalla_executor.fetch:fetch_all"
"""A slot is about to ask peers for spools."""

JOINING = "kalla_core.engine.fragments.join_fragment:run_join"
"""A slot has all it needs for a join."""

IN_PASSES = "kalla_core.engine.passes.settling:Settling.run"
"""A slot has carried out all passes; the rows that none consumed are not written."""

LOCAL_SCANNING = "kalla_core.engine.spool.scan:scan"
"""A local run has a part to read."""

LOCAL_MATCHING = "kalla_core.engine.joins.matching_stage:run_matching"
"""A local run has read all rows."""

OF_COORDINATORS = (PLANNING, COLLECTING, COMMITTING, COMMITTED, CANCELLING, SETTLING)
OF_EXECUTORS = (SCANNING, SPOOLING, FETCHING, JOINING, IN_PASSES)
OF_LOCAL_RUNS = (LOCAL_SCANNING, LOCAL_MATCHING, COMMITTING)
