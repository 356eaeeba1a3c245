"""The process of one slot: `python -m kalla_executor.child`.

It reads one JSON line, the task, from standard input, fetches what the fragment wants from peers,
runs it, and writes JSON lines to standard output: `began`, `progress` as it goes, and one `ended`.
Then it waits for the next task, if this one says so. When standard input ends, its executor is gone
or wants it to stop, and it exits at once.
"""

from __future__ import annotations

import importlib
import threading
import time
import traceback
from dataclasses import replace
from pathlib import Path
from typing import IO, Any

from kalla_core.engine.fragments.fragment import Done, run_fragment
from kalla_core.engine.fragments.remote_run import RemoteRun
from kalla_core.engine.programs import child
from kalla_core.engine.programs.child import send, serve
from kalla_core.engine.spool.requests import Inputs, wants
from kalla_core.errors import EngineFailure, KallaError, OutOfMemory
from kalla_core.evidence.disk import disk_errors
from kalla_core.fragments.outcome import (
    FragmentEnded,
    FragmentFailed,
    FragmentProgress,
    failed,
)
from kalla_executor.fetch import BUDGET_BYTES, ByteBudget, fetch_all, files_beside, own_files
from kalla_executor.tasks import Task, ended_json, progress_json, task_of

_PROGRESS_INTERVAL_S = 0.2


def prepare() -> None:
    """Load what every fragment needs; for a process that others are forked from.

    Starts no thread.
    """
    child.prepare()
    importlib.import_module("encodings.utf_8_sig")  # what files of text are opened with


def main() -> None:
    """Run the fragment that standard input names, and those that follow it."""
    serve(_carry_out)


def _carry_out(asked: dict[str, Any], out: IO[str]) -> None:
    send(out, {"event": "began"})  # until it has said that, another process may do it as well
    task = task_of(asked)
    start = time.monotonic()
    outcome, trace = _outcome(task, _Reporter(out, task))
    seconds = time.monotonic() - start
    send(out, ended_json(FragmentEnded(task.launch.id, seconds, outcome), trace))


def _outcome(task: Task, reporter: _Reporter) -> tuple[Done | FragmentFailed, str]:
    """Return what became of a task, and the traceback of an error."""
    try:
        return _run(task, reporter), ""
    except KallaError as error:
        return failed(error), _trace(error)
    except MemoryError as error:
        return failed(OutOfMemory(f"There is not enough memory ({error}).")), _trace(error)
    except BaseException as error:  # a panic of the query engine is no Exception
        failure = EngineFailure(f"An internal error: {type(error).__name__}: {error}")
        return failed(failure), _trace(error)


def _run(task: Task, reporter: _Reporter) -> Done:
    id = task.launch.id
    with task.folder.scratch(id) as scratch:
        inputs = _inputs(task, scratch, reporter)
        run = RemoteRun(
            id=id,
            job=task.launch.job,
            budget=task.budget,
            folder=task.folder,
            scratch=scratch,
            on_progress=reporter.report,
            fetched_bytes=reporter.fetched_bytes,
            access=task.access,
        )
        return run_fragment(run, task.launch.work, inputs)


def _inputs(task: Task, scratch: Path, reporter: _Reporter) -> Inputs:
    wanted = wants(task.launch.work)
    mine = [want for want in wanted if want.place.executor_id == task.executor_id]
    files = own_files(task.folder, mine)
    requests = []
    for request in task.requests():
        beside = files_beside(task.folder, request)
        files |= beside
        if not beside:
            requests.append(request)
    if requests:
        folder = scratch / "fetched"
        with disk_errors(folder):
            folder.mkdir()
        start, permits = time.monotonic(), ByteBudget(BUDGET_BYTES)
        fetched = fetch_all(requests, folder, reporter.fetched, budget=permits)
        rows = sum(segment.rows for file in fetched.values() for segment in file.segments)
        reporter.waited(rows, time.monotonic() - start, permits.waited_s)
        files |= fetched
    return files


def _trace(error: BaseException) -> str:
    return "".join(traceback.format_exception(error))


class _Reporter:
    """Sends progress, a few times a second and after the fetching."""

    def __init__(self, out: IO[str], task: Task) -> None:
        self._out = out
        self._last = FragmentProgress(task.launch.id)
        self._sent = time.monotonic()
        self._lock = threading.Lock()
        self.fetched_bytes = 0

    def report(self, progress: FragmentProgress) -> None:
        with self._lock:
            self._last = progress
            now = time.monotonic()
            if now - self._sent >= _PROGRESS_INTERVAL_S:
                self._sent = now
                send(self._out, progress_json(progress))

    def fetched(self, size: int) -> None:
        self.fetched_bytes += size
        self.report(replace(self._last, fetched_bytes=self.fetched_bytes))

    def waited(self, rows: int, seconds: float, permit_wait_s: float) -> None:
        told = {"rows": rows, "size": self.fetched_bytes, "seconds": seconds}
        send(self._out, {"event": "fetched", **told, "waited_s": permit_wait_s})


if __name__ == "__main__":
    main()
