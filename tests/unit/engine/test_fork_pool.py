"""Children forked from a process that is loaded, through the interface of `children`."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from benchmarks.generate import generate
from kalla_core.engine.processes.children import Child, Limits, running
from kalla_core.engine.processes.fork_pool import ForkPool
from kalla_core.engine.processes.spawned import ChildProcess
from kalla_core.engine.programs.local import RunRequest, Supervision, run_local
from kalla_core.errors import Crashed, DeadlineExceeded, OutOfMemory, UnknownColumn
from kalla_core.evidence.metadata import RunMetadata
from kalla_core.evidence.names import MATCHED, UNMATCHED
from kalla_core.evidence.reader import read_evidence
from kalla_core.recipe.model import Recipe
from kalla_core.recipe.parse import load_recipe
from tests.support.books import Books, make_books
from tests.support.processes import children_of, ends_soon, has_ended

MIB = 1 << 20
PATIENCE = Limits(memory_bytes=1 << 40, timeout=timedelta(seconds=30))
ENTRY = "a_child_for_tests"
COMMAND = (sys.executable, "-m", ENTRY)
PROGRAM = """
import json, os, signal, sys, threading, time

def say(**answer):
    print(json.dumps({"event": "said", **answer}), flush=True)

def watch():
    sys.stdin.read()
    os._exit(1)

def main():
    asked = json.loads(sys.stdin.readline())
    threading.Thread(target=watch, daemon=True).start()
    exec(asked["do"])
"""
ENGINE = "kalla_core.engine.programs.child"
STARTED = datetime(2026, 1, 1, tzinfo=UTC)
OUTPUTS = (MATCHED, *UNMATCHED.values())


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("modules")
    (folder / f"{ENTRY}.py").write_text(PROGRAM)
    return str(folder)


@pytest.fixture(scope="module")
def fork_pool(path: str) -> Iterator[ForkPool]:
    with ForkPool([ENTRY], {"PYTHONPATH": path}) as fork_pool:
        yield fork_pool


def ask(fork_pool: ForkPool, do: str, limits: Limits = PATIENCE, **variables: str) -> list[Any]:
    with running(COMMAND, limits, variables, fork_pool.start) as child:
        return list(child.ask({"do": do}))


def started(child: Child) -> None:
    next(child.ask({"do": "say(); time.sleep(60)"}))


def test_a_child_answers_and_has_its_variables(fork_pool: ForkPool) -> None:
    answers = ask(fork_pool, "say(has=os.environ['KALLA_TEST'])", KALLA_TEST="this")

    assert [answer["has"] for answer in answers] == ["this"]


def test_what_one_child_does_to_its_memory_no_other_sees(fork_pool: ForkPool) -> None:
    change = "import math; math.pi = 4; say(pi=math.pi, var=os.environ.get('X', 'unset'))"
    look = "import math; say(pi=math.pi, var=os.environ.get('X', 'unset'))"

    (first,) = ask(fork_pool, change, X="set")
    (second,) = ask(fork_pool, look)

    assert (first["pi"], first["var"]) == (4, "set")
    assert (second["pi"] < 4, second["var"]) == (True, "unset")


def test_a_child_starts_in_a_fraction_of_the_time_that_loading_takes(fork_pool: ForkPool) -> None:
    ask(fork_pool, "say()")

    forked = min(_seconds(lambda: ask(fork_pool, "say()")) for _ in range(10))
    load = [sys.executable, "-c", "import kalla_core.engine.programs.child"]
    loaded = _seconds(lambda: subprocess.run(load, check=True, timeout=60))

    assert forked * 4 < loaded


def _seconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def test_a_child_has_its_own_process_group(fork_pool: ForkPool) -> None:
    (answer,) = ask(fork_pool, "say(pid=os.getpid(), group=os.getpgid(0), session=os.getsid(0))")

    assert answer["pid"] == answer["group"] == answer["session"]


def test_many_children_run_at_once(fork_pool: ForkPool) -> None:
    with ThreadPoolExecutor(16) as threads:
        asked = [threads.submit(ask, fork_pool, f"say(n={n}); time.sleep(0.1)") for n in range(48)]
        answers = [one.result()[0]["n"] for one in asked]

    assert answers == list(range(48))
    assert fork_pool.pid is not None
    assert children_of(fork_pool.pid) == []


@pytest.mark.parametrize(
    ("do", "words"),
    [
        ("os.kill(os.getpid(), signal.SIGKILL)", "killed by SIGKILL"),
        ("os.kill(os.getpid(), signal.SIGSEGV)", "killed by SIGSEGV"),
        ("os._exit(7)", "exit code 7"),
        ("raise ValueError('the disk is on fire')", "the disk is on fire"),
        ("os.close(1); os.close(2); time.sleep(60)", "silent"),
    ],
)
def test_a_death_is_told_as_what_it_was(fork_pool: ForkPool, do: str, words: str) -> None:
    with pytest.raises(Crashed) as raised:
        ask(fork_pool, do)

    assert words in raised.value.message


def test_a_child_that_takes_too_long_or_too_much_is_stopped(fork_pool: ForkPool) -> None:
    with pytest.raises(DeadlineExceeded):
        ask(fork_pool, "time.sleep(60)", Limits(1 << 40, timedelta(seconds=0.3)))
    with pytest.raises(OutOfMemory):
        ask(fork_pool, f"x = os.urandom(1) * {300 * MIB}; time.sleep(60)", Limits(200 * MIB))


def test_a_child_can_be_killed_alone(fork_pool: ForkPool) -> None:
    with running(COMMAND, PATIENCE, start=fork_pool.start) as one:
        started(one)
        with running(COMMAND, PATIENCE, start=fork_pool.start) as other:
            started(other)
        other_ended, one_ended = has_ended(other.pid), has_ended(one.pid)

    assert (other_ended, one_ended) == (True, False)
    assert has_ended(one.pid)


def test_what_a_child_started_ends_with_it(fork_pool: ForkPool) -> None:
    do = (
        "import subprocess; say(pid=subprocess.Popen([sys.executable, '-c', "
        "'import time; time.sleep(60)']).pid); os._exit(0)"
    )

    (answer,) = ask(fork_pool, do)

    assert ends_soon(answer["pid"])


def test_nothing_stays_open(fork_pool: ForkPool) -> None:
    ask(fork_pool, "say()")
    before = sorted(os.listdir("/proc/self/fd")), _descriptors(fork_pool)

    for do in ("say()", "print('garbage')", "os.kill(os.getpid(), 9)"):
        with suppress(Crashed):
            ask(fork_pool, do)

    assert (sorted(os.listdir("/proc/self/fd")), _descriptors(fork_pool)) == before


def _descriptors(fork_pool: ForkPool) -> list[str]:
    return sorted(os.listdir(f"/proc/{fork_pool.pid}/fd"))


def test_a_child_holds_nothing_of_its_siblings(fork_pool: ForkPool) -> None:
    with running(COMMAND, PATIENCE, start=fork_pool.start) as sibling:
        started(sibling)
        (answer,) = ask(fork_pool, "say(fds=sorted(map(int, os.listdir('/proc/self/fd'))))")

    assert len(answer["fds"]) == 4  # and the one that lists them


def test_a_fork_server_that_died_is_replaced_and_its_children_go_on(path: str) -> None:
    with ForkPool([ENTRY], {"PYTHONPATH": path}) as fork_pool:
        with running(COMMAND, PATIENCE, start=fork_pool.start) as child:
            answers = child.ask({"do": "say(); time.sleep(0.5); say()"})
            next(answers)
            first = fork_pool.pid
            assert first is not None
            os.kill(first, signal.SIGKILL)
            assert ends_soon(first)
            (answer,) = ask(fork_pool, "say(new=True)")
            orphan_said = next(answers)

        assert (answer["new"], orphan_said["event"]) == (True, "said")
        assert fork_pool.pid != first
        assert ends_soon(child.pid)


def test_an_orphan_can_still_be_killed(path: str) -> None:
    with ForkPool([ENTRY], {"PYTHONPATH": path}) as fork_pool:
        with running(COMMAND, PATIENCE, start=fork_pool.start) as child:
            started(child)
            assert fork_pool.pid is not None
            os.kill(fork_pool.pid, signal.SIGKILL)

        assert ends_soon(child.pid)


def test_a_closed_nursery_starts_nothing() -> None:
    fork_pool = ForkPool([])
    fork_pool.open()
    pid = fork_pool.pid
    assert pid is not None

    fork_pool.close()

    assert has_ended(pid)
    with pytest.raises(Crashed):
        fork_pool.start(COMMAND, {})


def test_nothing_outlives_a_service_that_is_killed(path: str) -> None:
    program = (
        "import os, signal\n"
        "from kalla_core.engine.processes.fork_pool import ForkPool\n"
        "from kalla_core.engine.processes.children import Limits, running\n"
        f"fork_pool = ForkPool(['{ENTRY}'])\n"
        f"with running({COMMAND!r}, Limits(1 << 40), start=fork_pool.start) as child:\n"
        "    next(child.ask({'do': 'say(); time.sleep(60)'}))\n"
        "    print(fork_pool.pid, child.pid, flush=True)\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )

    ended = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        env={**os.environ, "PYTHONPATH": path},
        check=False,
    )
    pids = [int(word) for word in ended.stdout.split()]

    assert len(pids) == 2
    assert all(ends_soon(pid) for pid in pids)


def test_modules_that_start_threads_are_not_forked_from(tmp_path: Path) -> None:
    threads = (
        "import threading; threading.Thread(target=threading.Event().wait, daemon=True).start()"
    )
    (tmp_path / f"{ENTRY}.py").write_text(
        PROGRAM + f"\ndef prepare():\n    {threads}\nif __name__ == '__main__': main()"
    )

    with ForkPool([ENTRY], {"PYTHONPATH": str(tmp_path)}) as fork_pool:
        (answer,) = ask(fork_pool, "say(parent=os.getppid())")

    assert answer["parent"] == os.getpid()


def test_the_engine_loads_without_threads() -> None:
    with ForkPool([ENGINE]) as fork_pool:
        child = fork_pool.start((sys.executable, "-m", ENGINE), {})
        threads = os.listdir(f"/proc/{fork_pool.pid}/task")
        child.end()

    assert len(threads) == 1


@dataclass
class Started:
    """Starts children and remembers which ones they were."""

    fork_pool: ForkPool
    pids: list[int] = field(default_factory=list)

    def __call__(self, command: Sequence[str], environment: Mapping[str, str]) -> ChildProcess:
        child = self.fork_pool.start(command, environment)
        self.pids.append(child.pid)
        return child

    def run(self, books: Books, number: int, **changes: Any) -> RunMetadata:
        recipe = replace(load_recipe(books.write()), **changes)
        return self.run_recipe(recipe, books.folder / f"out-{number}")

    def run_recipe(self, recipe: Recipe, output: Path) -> RunMetadata:
        request = RunRequest(
            recipe, output.name, output, 2 << 30, 2, started_at=STARTED, alone=False
        )
        return run_local(request, lambda _: None, Supervision(start=self))


def outputs(folder: Path) -> list[Any]:
    with read_evidence(folder) as evidence:
        return [evidence.table(name).to_pylist() for name in OUTPUTS]


def test_a_child_that_has_carried_out_a_run_carries_out_the_next_with_the_same_answer(
    tmp_path: Path,
) -> None:
    books = make_books(tmp_path)
    with ForkPool([ENGINE]) as fork_pool:
        started = Started(fork_pool)

        told = [started.run(books, number) for number in range(3)]

        assert len(set(started.pids)) == 1
        assert not has_ended(started.pids[0])
    assert ends_soon(started.pids[0])
    rows = [outputs(tmp_path / f"out-{number}") for number in range(3)]
    assert rows[0] == rows[1] == rows[2]
    assert [one.matched_count for one in told] == [2, 2, 2]


def test_a_child_that_had_ten_thousand_rows_is_small_enough_to_stay(tmp_path: Path) -> None:
    recipe = load_recipe(generate("one_to_one", 10_000, 7, tmp_path / "data", "csv").recipe_path)
    with ForkPool([ENGINE]) as fork_pool:
        started = Started(fork_pool)

        for number in range(2):
            started.run_recipe(recipe, tmp_path / f"out-{number}")

        assert len(set(started.pids)) == 1


def test_a_child_whose_run_failed_is_not_used_again(tmp_path: Path) -> None:
    books = make_books(tmp_path)
    with ForkPool([ENGINE]) as fork_pool:
        started = Started(fork_pool)

        with pytest.raises(UnknownColumn):
            started.run(books, 0, match_sql="SELECT nothing FROM invoices i JOIN payments p")
        started.run(books, 1)

        assert len(set(started.pids)) == 2
        assert ends_soon(started.pids[0])


def test_a_child_that_died_as_it_rested_is_not_handed_over(tmp_path: Path) -> None:
    books = make_books(tmp_path)
    with ForkPool([ENGINE]) as fork_pool:
        started = Started(fork_pool)
        started.run(books, 0)
        os.kill(started.pids[0], signal.SIGKILL)
        assert ends_soon(started.pids[0])

        told = started.run(books, 1)

    assert told.matched_count == 2
    assert started.pids[0] != started.pids[1]


def test_a_child_with_other_variables_is_another_one(tmp_path: Path) -> None:
    command = (sys.executable, "-m", ENGINE)
    with ForkPool([ENGINE]) as fork_pool:
        first = fork_pool.start(command, {"A": "1"})
        first.rest()

        other = fork_pool.start(command, {"A": "2"})
        same = fork_pool.start(command, {"A": "1"})

        assert same is first
        assert other.pid != first.pid
        other.end()
        same.end()
