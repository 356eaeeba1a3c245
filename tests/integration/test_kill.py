"""A run that is stopped at any moment leaves complete evidence, or nothing under the final names.

Moments are what can be seen from outside: a line on standard error, a file that appears, the
process that does the work. The run is one that goes through the spool.
"""

from __future__ import annotations

import os
import select
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path

import pytest

from benchmarks.check import check
from benchmarks.generate import generate
from benchmarks.generate.dataset import Dataset
from kalla_core.cli.interrupts import UNWINDING_S
from kalla_core.evidence.names import METADATA, OF_EVERY_RUN
from kalla_core.evidence.reader import read_evidence
from kalla_core.recipe.parse import load_recipe
from tests.support.command import KALLA, clean_environment, names_below
from tests.support.machine import stretched
from tests.support.processes import children_of, ends_soon
from tests.support.runs import run_in_process

SIZE = 10_000
PATIENCE_S = 60
FLAGS = ("--buckets", "8", "--partitions", "4", "--slots", "2", "--memory-limit", "1GiB")


@dataclass
class Run:
    """A run that goes on, and what it has said so far."""

    process: subprocess.Popen[bytes]
    output: Path
    said: bytearray = field(default_factory=bytearray)
    child: int | None = None

    def reaches(self, moment: Callable[[Run], bool]) -> bool:
        """Wait for a moment; False if the run ended before it was seen."""
        until = time.monotonic() + PATIENCE_S
        while time.monotonic() < until:
            if moment(self):
                return True
            if not self._listens():
                return False
        raise TimeoutError("the moment did not come, nor the end")

    def ended(self) -> int:
        """Wait for the end of the run and of its child; the exit code."""
        code = self.process.wait(PATIENCE_S)
        assert self.child is None or ends_soon(self.child)
        return code

    def _listens(self) -> bool:
        assert self.process.stderr is not None
        readable, _, _ = select.select([self.process.stderr], [], [], 0.002)
        data = os.read(self.process.stderr.fileno(), 1 << 16) if readable else b"-"
        self.said += data if readable else b""
        self.child = self.child or next(iter(children_of(self.process.pid)), None)
        return bool(data)

    @property
    def work(self) -> list[Path]:
        """The files that lie beside the output while the run goes on."""
        return list((self.output.parent / f".{self.output.name}.kalla").rglob("*"))

    def works_on(self, name: str) -> bool:
        """Whether there is a file of a name in which there is something."""
        with suppress(FileNotFoundError):
            return any(path.match(name) and path.stat().st_size > 4 for path in self.work)
        return False


MOMENTS: dict[str, Callable[[Run], bool]] = {
    "as it starts": lambda run: True,
    "with the folder claimed": lambda run: bool(run.work),
    "with a child": lambda run: run.child is not None,
    "at the first report": lambda run: b"staging" in run.said,
    "with a spool file": lambda run: run.works_on("*.spool"),
    "with both sources begun": lambda run: run.said.count(b"staging") > 1,
    "when matching": lambda run: b"matching" in run.said,
    "with an output": lambda run: run.works_on("matched.parquet"),
    "with unmatched rows": lambda run: run.works_on("unmatched_*.parquet"),
    "when writing results": lambda run: b"writing_results" in run.said,
    "with the metadata staged": lambda run: run.works_on(METADATA),
    "with the output in place": lambda run: run.output.exists(),
}
FLEETING = {"with the metadata staged", "with the output in place"}
KILLS = ("the run", "its child", "all of it")
SIGNALS = (signal.SIGINT, signal.SIGTERM)
SPREAD = [(moment, KILLS[n % 3]) for n, moment in enumerate(MOMENTS)]
SIGNALLED = [(moment, SIGNALS[n % 4 // 2]) for n, moment in enumerate(MOMENTS) if n % 2]


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return generate("one_to_one", SIZE, 7, tmp_path_factory.mktemp("data"), "csv")


@pytest.fixture(scope="module")
def long_dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """One whose run is not over before somebody who has to wait for a core gets to ask."""
    return generate("one_to_one", 20 * SIZE, 7, tmp_path_factory.mktemp("long"), "csv")


def child_leads(run: Run) -> bool:
    """Whether the child has come so far that the kernel ends it with its parent."""
    with suppress(ProcessLookupError):
        return run.child is not None and os.getsid(run.child) == run.child
    return False


@contextmanager
def started(dataset: Dataset, folder: Path) -> Iterator[Run]:
    output = folder / "out"
    command = [*KALLA, "run", str(dataset.recipe_path), "--output", str(output), *FLAGS]
    with subprocess.Popen(
        command,
        cwd=folder,
        env=clean_environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        start_new_session=True,
    ) as process:
        try:
            yield Run(process, output)
        finally:
            process.kill()


def end(run: Run, what: str) -> None:
    """Kill without warning."""
    if what != "the run" and run.child is not None:
        with suppress(ProcessLookupError):
            os.kill(run.child, signal.SIGKILL)
    if what != "its child":
        os.killpg(run.process.pid, signal.SIGKILL)


def is_complete(output: Path, dataset: Dataset) -> bool:
    """Whether there is evidence, which then must be whole and true; else there is no trace."""
    if not (output / METADATA).exists():
        assert not any(os.path.lexists(output / name) for name in OF_EVERY_RUN)
        return False
    with read_evidence(output):
        report = check(output, dataset.truth)
    assert report.ok, str(report)
    return True


def assert_the_next_run_succeeds(output: Path, dataset: Dataset) -> None:
    run_in_process(load_recipe(dataset.recipe_path), output, overwrite=True)

    assert is_complete(output, dataset)
    assert names_below(output.parent) == {"out", *(f"out/{name}" for name in OF_EVERY_RUN)}


def is_killed_well(dataset: Dataset, folder: Path, moment: str, what: str) -> None:
    with started(dataset, folder) as run:
        reached = run.reaches(MOMENTS[moment])
        end(run, what)
        code = run.ended()

    complete = is_complete(run.output, dataset)
    assert reached or moment in FLEETING
    assert complete == (code == 0) or moment in FLEETING
    assert_the_next_run_succeeds(run.output, dataset)


def is_signalled_well(dataset: Dataset, folder: Path, moment: str, number: signal.Signals) -> None:
    with started(dataset, folder) as run:
        reached = run.reaches(MOMENTS[moment])
        run.process.send_signal(number)
        run.ended()

    complete = is_complete(run.output, dataset)
    assert reached or moment in FLEETING
    assert complete or names_below(folder) == set()
    assert_the_next_run_succeeds(run.output, dataset)


@pytest.mark.parametrize(("moment", "what"), SPREAD)
def test_a_run_that_is_killed_leaves_all_or_nothing(
    dataset: Dataset, tmp_path: Path, moment: str, what: str
) -> None:
    is_killed_well(dataset, tmp_path, moment, what)


@pytest.mark.parametrize(("moment", "number"), SIGNALLED)
def test_a_run_that_is_asked_to_end_leaves_all_or_no_trace(
    dataset: Dataset, tmp_path: Path, moment: str, number: signal.Signals
) -> None:
    is_signalled_well(dataset, tmp_path, moment, number)


@pytest.mark.full
@pytest.mark.parametrize(("moment", "what"), sorted(set(product(MOMENTS, KILLS)) - set(SPREAD)))
def test_a_run_that_is_killed_anyhow_leaves_all_or_nothing(
    dataset: Dataset, tmp_path: Path, moment: str, what: str
) -> None:
    is_killed_well(dataset, tmp_path, moment, what)


@pytest.mark.full
@pytest.mark.parametrize(
    ("moment", "number"), sorted(set(product(MOMENTS, SIGNALS)) - set(SIGNALLED))
)
def test_a_run_that_is_asked_to_end_anyhow_leaves_all_or_no_trace(
    dataset: Dataset, tmp_path: Path, moment: str, number: signal.Signals
) -> None:
    is_signalled_well(dataset, tmp_path, moment, number)


@pytest.mark.parametrize(
    ("number", "exit_code", "word"),
    [(signal.SIGINT, 130, "Interrupted"), (signal.SIGTERM, 143, "Terminated")],
)
def test_a_request_to_end_is_answered_with_one_sentence(
    dataset: Dataset, tmp_path: Path, number: signal.Signals, exit_code: int, word: str
) -> None:
    with started(dataset, tmp_path) as run:
        run.reaches(MOMENTS["when matching"])
        run.process.send_signal(number)
        code = run.ended()
        assert run.process.stderr is not None
        said = (bytes(run.said) + run.process.stderr.read()).decode()

    assert code == exit_code
    assert [line for line in said.splitlines() if not line.startswith("{")] == [
        f"{word}: nothing was left behind."
    ]


@pytest.mark.parametrize(
    ("moment", "number"),
    [
        ("with the folder claimed", signal.SIGTERM),
        ("with a child", signal.SIGINT),
        ("when matching", signal.SIGINT),
    ],
)
def test_a_storm_of_requests_to_end_is_answered_with_one_sentence_and_leaves_no_trace(
    long_dataset: Dataset, tmp_path: Path, moment: str, number: signal.Signals
) -> None:
    with started(long_dataset, tmp_path) as run:
        run.reaches(MOMENTS[moment])
        sent = 0
        while run.process.poll() is None and sent < 2_000:
            run.process.send_signal(number)
            sent += 1
            select.select([], [], [], 0.001)
        code = run.ended()
        assert run.process.stderr is not None
        said = (bytes(run.said) + run.process.stderr.read()).decode()

    word = "Interrupted" if number == signal.SIGINT else "Terminated"
    assert sent > 2 or moment == "with a child"  # which is there before anything is under way
    assert code == (130 if number == signal.SIGINT else 143)
    assert [line for line in said.splitlines() if not line.startswith("{")] == [
        f"{word}: nothing was left behind."
    ]
    assert names_below(tmp_path) == set()


@pytest.mark.parametrize("what", ["a request to end", "a storm of them", "the death of the run"])
def test_a_child_that_is_stopped_as_it_begins_does_not_outlive_the_run(
    dataset: Dataset, tmp_path: Path, what: str
) -> None:
    with started(dataset, tmp_path) as run:
        by_kill = what == "the death of the run"
        run.reaches(child_leads if by_kill else MOMENTS["with a child"])
        assert run.child is not None
        os.kill(run.child, signal.SIGSTOP)
        began = time.monotonic()
        if by_kill:
            run.process.kill()
        else:
            run.process.send_signal(signal.SIGINT)
        while what == "a storm of them" and run.process.poll() is None:
            run.process.send_signal(signal.SIGINT)
            select.select([], [], [], 0.001)
        code = run.ended()

    assert code == (-signal.SIGKILL if by_kill else 130)
    assert time.monotonic() - began < stretched(UNWINDING_S)
    assert is_complete(run.output, dataset) is False


def test_the_death_of_the_child_is_told_as_what_it_is(dataset: Dataset, tmp_path: Path) -> None:
    with started(dataset, tmp_path) as run:
        run.reaches(MOMENTS["when matching"])
        end(run, "its child")
        code = run.ended()
        assert run.process.stderr is not None
        said = (bytes(run.said) + run.process.stderr.read()).decode()

    assert code == 3
    assert "Error (crashed)" in said
    assert "SIGKILL" in said
    assert names_below(tmp_path) == set()
