"""One run of Kalla in this process, and when each task of its threads began and ended.

    python -m benchmarks.traced RECIPE FOLDER THREADS MEMORY AT_ONCE

prints JSON. The run is cut as for `THREADS`, of which `AT_ONCE` do something at a time, so that
tasks for many cores can be watched on a few. What runs tasks on threads is one function of
`kalla_core.engine.tasks`, which is watched; between them the thread that leads the run does what it
does, with engines and encoders beside it. Of every moment are noted: seconds of wall, of CPU time
of the whole process, and of CPU time of the leading thread.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest.mock import patch

from kalla_core.engine import tasks
from kalla_core.engine.budget import budget
from kalla_core.engine.processes.spawned import ENVIRONMENT, environment_within
from kalla_core.engine.run.job import run_job
from kalla_core.engine.run.job_spec import JobSpec
from kalla_core.recipe.parse import load_recipe
from kalla_core.sources.protocol import EVERYTHING
from kalla_core.sources.registry import load_connectors
from kalla_core.units import parse_size_bytes


@dataclass(frozen=True, slots=True)
class Moment:
    """Seconds since the run began: of wall, of CPU of the process, of CPU of the leading thread."""

    wall: float
    cpu: float
    leading: float


@dataclass(frozen=True, slots=True)
class Task:
    """What one thread did, by the name of the function."""

    name: str
    begun: Moment
    ended: Moment


class Watch:
    """Notes tasks as they go by."""

    def __init__(self) -> None:
        self._clock = time.pthread_getcpuclockid(threading.get_ident())
        self._zero = Moment(time.perf_counter(), time.process_time(), self._leading())
        self.tasks: list[Task] = []

    def now(self) -> Moment:
        """Return how far the run is."""
        zero = self._zero
        return Moment(
            time.perf_counter() - zero.wall,
            time.process_time() - zero.cpu,
            self._leading() - zero.leading,
        )

    @contextmanager
    def watching(self, at_once: int) -> Iterator[None]:
        """Note the tasks of the block, and let no more of them run at a time."""
        before, pool = tasks._unless_stopped, ThreadPoolExecutor  # where tasks are run

        def noted(task: Callable[[], Any], stop: tasks.Stop) -> Any:
            begun = self.now()
            try:
                return before(task, stop)
            finally:
                self.tasks.append(Task(_name_of(task), begun, self.now()))

        def narrow(threads: int, **named: Any) -> ThreadPoolExecutor:
            return pool(min(threads, at_once), **named)

        with (
            patch.object(tasks, "_unless_stopped", noted),
            patch.object(tasks, "ThreadPoolExecutor", narrow),
        ):
            yield

    def _leading(self) -> float:
        return time.clock_gettime(self._clock)


def _name_of(task: Callable[[], Any]) -> str:
    function = getattr(task, "func", task)
    return str(getattr(function, "__name__", function))


def traced(
    recipe: Path, folder: Path, threads: int, memory_bytes: int, at_once: int
) -> dict[str, Any]:
    """Run a recipe up to its commit; return its tasks, and the moment of its end."""
    share = budget(memory_bytes, threads)
    load_connectors()
    with TemporaryDirectory(dir=folder) as made:
        staging, spool = Path(made) / "staging", Path(made) / "spool"
        staging.mkdir()
        spool.mkdir()
        access = replace(EVERYTHING, thread_bytes=share.limit_bytes // share.threads)
        spec = JobSpec(load_recipe(recipe), datetime.now(UTC), staging, spool, share, access=access)
        watch = Watch()
        with watch.watching(at_once):
            run_job(spec, lambda _: None)
        end = watch.now()
    return {"tasks": [asdict(task) for task in watch.tasks], "end": asdict(end)}


def main() -> None:
    """Print what was traced, in a process with the variables that Kalla's have."""
    recipe, folder, threads, memory, at_once = sys.argv[1:]
    memory_bytes = parse_size_bytes(memory)
    wanted = {**ENVIRONMENT, **environment_within(memory_bytes)}
    if any(os.environ.get(name) != value for name, value in wanted.items()):
        os.environ.update(wanted)  # allocators look at them as they are loaded
        os.execv(sys.executable, [sys.executable, "-m", "benchmarks.traced", *sys.argv[1:]])  # noqa: S606
    print(json.dumps(traced(Path(recipe), Path(folder), int(threads), memory_bytes, int(at_once))))


if __name__ == "__main__":
    main()
