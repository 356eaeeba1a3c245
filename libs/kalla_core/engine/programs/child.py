"""The process that carries out a run: `python -m kalla_core.engine.programs.child`.

It reads one JSON line, the run, from standard input, and writes JSON lines to standard output:
`progress` as it goes, and at the end one `done` or one `error`. When standard input ends, whoever
started it is gone or wants it to stop, and it exits at once.

A run that `stays` is not the last one: the next may come, and finds threads, caches and what is
made at the first use there already, which is a third of the work of a small run. `serve` is how;
the processes of an executor's slots live by it as well.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import queue
import sys
import threading
import time
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, Any

from kalla_core.engine.processes.lean_arrow import numpy
from kalla_core.engine.processes.lean_arrow import pyarrow as pa
from kalla_core.engine.processes.vitals import private_bytes
from kalla_core.engine.programs import messages
from kalla_core.engine.progress import OnProgress, Progress
from kalla_core.engine.run.job import run_job
from kalla_core.engine.run.job_outcome import JobOutcome
from kalla_core.engine.run.job_spec import JobSpec
from kalla_core.errors import EngineFailure, KallaError, OutOfMemory
from kalla_core.evidence.finding import Findings
from kalla_core.evidence.findings import findings_below
from kalla_core.evidence.names import unmatched_names
from kalla_core.matching.plans.session import new_session
from kalla_core.matching.sql.query import Side
from kalla_core.sources.registry import load_connectors

_NEARLY_ALWAYS_NEEDED = "kalla_core.sources.files"
_SELDOM_NEEDED = (
    "kalla_core.engine.run.culprit",
    "kalla_core.engine.passes.job",
    "kalla_core.engine.joins.by_key",
    "kalla_core.engine.joins.settled_joins",
)
"""Runs load them as they come to it; whoever is forked from later has them."""
_PROGRESS_INTERVAL_S = 0.1
_LONGEST_REST_S = 120.0
"""Whoever keeps a child takes it again much sooner than that, or never."""


def prepare() -> None:
    """Load what every run needs; for a process that runs are forked from. Starts no thread."""
    load_connectors()
    for name in (_NEARLY_ALWAYS_NEEDED, *_SELDOM_NEEDED):
        importlib.import_module(name)
    pa.array(numpy.zeros(1))  # Arrow looks for much when it meets its first array of NumPy's
    new_session()


def main() -> None:
    """Run the job that standard input names, and those that follow it."""
    _get_ready()
    serve(lambda spec, out: send(out, _outcome(spec, out)))


def _get_ready() -> None:
    """Load what nearly every run needs, while whoever is about to ask still loads as well."""
    if _NEARLY_ALWAYS_NEEDED in sys.modules:
        return  # a fork of a process that is ready
    importlib.import_module(_NEARLY_ALWAYS_NEEDED)
    new_session()


def serve(work: Callable[[dict[str, Any], IO[str]], None]) -> None:
    """Do what standard input says, and what it says after that while it `stays`.

    With `rest_bytes`, a process that holds more than that once it has tidied up is not used again.

    Args:
        work: does what one line says; its second argument is where it answers.
    """
    out = own_output()
    asked = sys.stdin.readline()
    if not asked:
        return  # started ahead of need, and not needed
    further = further_lines()
    task = json.loads(asked)
    work(task, out)
    while task.get("stays") and _tidied(task.get("rest_bytes")):
        try:
            task = json.loads(further.get(timeout=_LONGEST_REST_S))
        except queue.Empty:
            break
        work(task, out)
    os._exit(0)  # threads that still wait for nothing must not hold the process up


def _tidied(most_bytes: int | None) -> bool:
    """Drop what the work left behind, while nobody waits; False if too much is left."""
    gc.collect()
    if most_bytes is None or private_bytes(os.getpid()) <= most_bytes:
        return True
    pa.default_memory_pool().release_unused()  # what it keeps for the next is faster than new
    return private_bytes(os.getpid()) <= most_bytes


def _outcome(spec: Mapping[str, Any], out: IO[str]) -> dict[str, Any]:
    try:
        job = messages.spec(spec)
        outcome = _run(job, _Reporter(out))
        found = _findings(job.staging, outcome) if spec.get("findings") else {}
    except KallaError as error:
        return _error(error)
    except MemoryError as error:
        return _error(OutOfMemory(f"There is not enough memory for the run ({error})."))
    except BaseException as error:  # a panic of the query engine is no Exception
        failure = EngineFailure(f"An internal error: {type(error).__name__}: {error}")
        return _error(failure.with_traceback(error.__traceback__))
    told = {"outcome": messages.outcome_json(outcome), "findings": messages.findings_json(found)}
    return {"event": "done", **told}


def _run(spec: JobSpec, on_progress: OnProgress) -> JobOutcome:
    if not spec.recipe.reconciles:
        return run_job(spec, on_progress)
    from kalla_core.engine.passes.job import run_job as run_passes

    return run_passes(spec, on_progress)


def _findings(staging: Path, outcome: JobOutcome) -> Findings:
    names = [file.name for file in outcome.files]
    return {side: findings_below(staging, unmatched_names(side, names)) for side in Side}


def _error(error: KallaError) -> dict[str, Any]:
    trace = "".join(traceback.format_exception(error))
    return {"event": "error", **messages.error_json(error), "traceback": trace}


class _Reporter:
    """Sends progress, at most ten times a second per stage and source, and each stage's last."""

    def __init__(self, out: IO[str]) -> None:
        self._out = out
        self._sent: dict[tuple[str, str | None], float] = {}
        self._lock = threading.Lock()

    def __call__(self, progress: Progress) -> None:
        now = time.monotonic()
        which = (progress.stage.value, progress.source)
        last = progress.rows_done == progress.rows_total
        last |= progress.fragments_done == progress.fragments_total
        with self._lock:
            if not last and now - self._sent.get(which, 0.0) < _PROGRESS_INTERVAL_S:
                return
            self._sent[which] = now
            send(self._out, {"event": "progress", **messages.progress_json(progress)})


def send(out: IO[str], message: Mapping[str, Any]) -> None:
    """Tell the parent something; ends the process if nobody listens."""
    try:
        out.write(json.dumps(message) + "\n")
        out.flush()
    except BrokenPipeError:
        os._exit(1)


def own_output() -> IO[str]:
    """Keep standard output for messages; whatever else is printed goes to standard error."""
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    return out


def further_lines() -> queue.SimpleQueue[str]:
    """Read on from standard input, whatever the process is at; where that ends, it exits at once.

    Whoever started it is gone then, and nobody wants what it does.
    """
    further: queue.SimpleQueue[str] = queue.SimpleQueue()
    threading.Thread(target=_read_on, args=(further,), daemon=True).start()
    return further


def _read_on(further: queue.SimpleQueue[str]) -> None:
    while line := sys.stdin.readline():
        further.put(line)
    os._exit(1)


if __name__ == "__main__":
    main()
