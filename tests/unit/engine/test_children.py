"""Whatever a child does or leaves undone: a typed answer within a bounded time, and no child left.

The children are small Python programs; `GO` reads the message that it is asked with.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from kalla_core.engine.processes import children, vitals
from kalla_core.engine.processes.children import Limits, running, warm_up
from kalla_core.engine.processes.spawned import ChildProcess, spawn
from kalla_core.engine.processes.vitals import private_bytes
from kalla_core.errors import Crashed, DeadlineExceeded, KallaError, OutOfMemory
from tests.support.machine import stretched
from tests.support.processes import ends_soon, has_ended

MIB = 1 << 20
PATIENCE = Limits(memory_bytes=1 << 40, timeout=timedelta(seconds=30))
GO = "import os, sys, json, signal, time; asked = json.loads(sys.stdin.readline());"
LONG = 60


def command(program: str) -> list[str]:
    return [sys.executable, "-c", program]


def ask(
    program: str, limits: Limits = PATIENCE, message: Mapping[str, Any] | None = None
) -> list[dict[str, Any]]:
    with running(command(program), limits) as child:
        return list(child.ask(message or {}))


def failure(program: str, limits: Limits = PATIENCE) -> KallaError:
    with pytest.raises(KallaError) as raised:
        ask(program, limits)
    return raised.value


def test_a_child_is_asked_once_and_answers_with_many() -> None:
    program = GO + "[print(json.dumps({'event': 'n', 'n': n * asked['by']})) for n in range(3)]"

    answers = ask(program, message={"by": 5})

    assert answers == [{"event": "n", "n": n} for n in (0, 5, 10)]


def test_a_message_larger_than_a_pipe_arrives_whole() -> None:
    program = GO + "print(json.dumps({'event': 'size', 'size': len(asked['text'])}))"

    answers = ask(program, message={"text": "x" * 3 * MIB})

    assert answers == [{"event": "size", "size": 3 * MIB}]


def test_an_answer_larger_than_a_pipe_arrives_whole() -> None:
    program = GO + f"print(json.dumps({{'event': 'text', 'text': 'é' * {3 * MIB}}}))"

    (answer,) = ask(program)

    assert answer["text"] == "é" * (3 * MIB)


def test_the_last_answer_arrives_though_the_child_ends_at_once() -> None:
    program = GO + 'print(\'{"event": "done"}\', flush=True); os._exit(0)'

    answers = [ask(program) for _ in range(10)]

    assert answers == [[{"event": "done"}]] * 10


def test_a_flood_of_answers_and_of_errors_is_taken_in() -> None:
    program = GO + (
        "[(sys.stderr.write('e' * 999 + chr(10)), print(json.dumps({'event': 'n', 'n': n})))"
        " for n in range(20_000)]"
    )

    answers = ask(program)

    assert [answer["n"] for answer in answers] == list(range(20_000))


def test_a_child_that_writes_errors_without_end_is_stopped_at_its_deadline() -> None:
    program = GO + "exec('while True: sys.stderr.write(4096 * str(0))')"

    error = failure(program, Limits(1 << 40, timedelta(seconds=1)))

    assert isinstance(error, DeadlineExceeded)


@pytest.mark.parametrize(
    "program",
    [
        GO + f"time.sleep({LONG})",
        f"import time; time.sleep({LONG})",
        GO + f"signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep({LONG})",
        GO + "exec('while True: pass')",
        GO + 'exec(\'while True: print(json.dumps({"event": "n"}))\')',
    ],
    ids=["hangs", "does not listen", "ignores signals", "burns a core", "talks without end"],
)
def test_a_child_that_does_not_end_exceeds_its_deadline(program: str) -> None:
    began = time.monotonic()

    error = failure(program, Limits(1 << 40, timedelta(seconds=1)))

    assert isinstance(error, DeadlineExceeded)
    assert "1 seconds" in error.message
    assert time.monotonic() - began < stretched(LONG / 4)


def test_the_time_that_a_child_takes_to_be_started_counts() -> None:
    bound = timedelta(seconds=1)

    def slowly(wanted: Sequence[str], environment: Mapping[str, str]) -> ChildProcess:
        began = time.monotonic()
        while time.monotonic() - began < bound.total_seconds():
            os.sched_yield()
        return spawn(wanted, environment)

    program = GO + f"time.sleep({bound.total_seconds() / 2})"
    with (
        running(command(program), Limits(1 << 40, bound), start=slowly) as child,
        pytest.raises(DeadlineExceeded),
    ):
        list(child.ask({}))


def test_a_child_that_does_not_take_a_large_message_exceeds_its_deadline() -> None:
    program = f"import time; time.sleep({LONG})"

    with (
        running(command(program), Limits(1 << 40, timedelta(seconds=1))) as child,
        pytest.raises(DeadlineExceeded),
    ):
        list(child.ask({"text": "x" * 3 * MIB}))


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV, signal.SIGABRT, signal.SIGTERM])
def test_a_death_by_signal_names_the_signal(number: signal.Signals) -> None:
    program = GO + f"os.kill(os.getpid(), {int(number)})"

    error = failure(program)

    assert isinstance(error, Crashed)
    assert number.name in error.message
    assert ("memory" in error.message) == (number is signal.SIGKILL)


def test_an_exit_code_comes_with_the_last_words() -> None:
    program = GO + "sys.stderr.write('x' * 100_000 + '\\nthe disk is on fire\\n'); sys.exit(7)"

    error = failure(program)

    assert isinstance(error, Crashed)
    assert error.message.endswith("exit code 7. Its last words: the disk is on fire")


@pytest.mark.parametrize(
    "said", ["garbage", "[1, 2]", '"text"', '{"no": "event"}', '{"event": 3}', r"\\xff\\xfe"]
)
def test_garbage_is_a_crash_that_shows_it(said: str) -> None:
    program = GO + f"sys.stdout.buffer.write(b'''{said}''' + b'\\n')"

    error = failure(program)

    assert isinstance(error, Crashed)
    assert "no answer" in error.message


def test_a_line_without_end_is_given_up() -> None:
    program = GO + "exec('while True: os.write(1, bytes(1 << 20))')"

    error = failure(program)

    assert isinstance(error, Crashed)
    assert len(error.message) < 1000


def test_a_child_that_ends_well_without_an_answer_gives_none() -> None:
    answers = ask(GO + "pass")

    assert answers == []


def test_a_child_that_falls_silent_is_not_waited_for() -> None:
    program = GO + f"os.close(1); os.close(2); time.sleep({LONG})"

    error = failure(program)

    assert isinstance(error, Crashed)
    assert "silent" in error.message


def test_what_a_child_says_after_it_closed_its_output_does_not_hold_it_up() -> None:
    program = GO + "os.close(1); os.write(2, b'e' * 1_000_000); os._exit(5)"

    error = failure(program)

    assert "exit code 5" in error.message


def test_a_child_that_somebody_stopped_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vitals, "MOST_STILL_S", 0.5)
    program = GO + f"os.kill(os.getpid(), signal.SIGSTOP); time.sleep({LONG})"

    error = failure(program)

    assert isinstance(error, Crashed)
    assert "SIGSTOP" in error.message


def test_a_child_that_goes_on_in_time_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vitals, "MOST_STILL_S", 1.2)
    going_on = "time.sleep(0.6); os.kill(os.getppid(), signal.SIGCONT); os._exit(0)"
    once = f"os.fork() or exec({going_on!r}); os.kill(os.getpid(), signal.SIGSTOP); time.sleep(0.4)"
    program = GO + f'[exec({once!r}) for n in range(3)]; print(\'{{"event": "there"}}\')'

    answers = ask(program)

    assert answers == [{"event": "there"}]


def test_a_child_that_takes_too_much_memory_is_stopped() -> None:
    program = GO + f"held = bytearray(os.urandom(1)) * {200 * MIB}; time.sleep({LONG})"

    error = failure(program, Limits(memory_bytes=100 * MIB, timeout=PATIENCE.timeout))

    assert isinstance(error, OutOfMemory)
    assert "--memory-limit" in error.message


def test_files_that_are_mapped_do_not_count_as_memory(tmp_path: Path) -> None:
    path = tmp_path / "spool"
    path.write_bytes(bytes(64 * MIB))
    program = GO + (
        f"import mmap; f = open({str(path)!r}, 'rb');"
        "m = mmap.mmap(f.fileno(), 0, access=mmap.ACCESS_READ); sum(m[::4096]);"
        'print(\'{"event": "mapped"}\', flush=True); sys.stdin.read()'
    )

    with running(command(program), PATIENCE) as child:
        next(child.ask({}))
        used = private_bytes(child.pid)

    assert 1 * MIB < used < 48 * MIB


def test_a_process_that_is_gone_uses_no_memory() -> None:
    with running(command("pass"), PATIENCE) as child:
        pass

    assert private_bytes(child.pid) == 0


def test_leaving_the_context_ends_a_child_that_still_runs() -> None:
    program = GO + f'print(\'{{"event": "up"}}\', flush=True); time.sleep({LONG})'

    with running(command(program), PATIENCE) as child:
        next(child.ask({}))
        alive = not has_ended(child.pid)

    assert alive
    assert has_ended(child.pid)


@pytest.mark.parametrize(
    "end", ["os._exit(0)", f"time.sleep({LONG})"], ids=["that ended", "that still runs"]
)
def test_what_a_child_started_ends_with_it(end: str) -> None:
    program = GO + (
        f"import subprocess; c = subprocess.Popen([sys.executable, '-c', 'import time; "
        f"time.sleep({LONG})']); print(json.dumps({{'event': 'up', 'pid': c.pid}}), flush=True);"
        + end
    )

    with running(command(program), PATIENCE) as child:
        answers = child.ask({})
        started = next(answers)["pid"]
        if "exit" in end:
            assert list(answers) == []

    assert ends_soon(started)


def test_nothing_stays_open(tmp_path: Path) -> None:
    before = sorted(os.listdir("/proc/self/fd"))
    programs: Sequence[str] = [
        GO + "pass",
        GO + "print('garbage')",
        GO + "os.kill(os.getpid(), 9)",
        "pass",
    ]

    for program in programs:
        with suppress(KallaError):
            ask(program)

    assert sorted(os.listdir("/proc/self/fd")) == before


def test_a_child_that_was_warmed_up_is_the_one_that_is_asked() -> None:
    program = command('import os; input(); print(\'{"event": "done", "pid": %d}\' % os.getpid())')
    warm_up(program)
    warm_up(program)

    with running(program, PATIENCE) as first:
        (answer,) = first.ask({})
    with running(program, PATIENCE) as second:
        (other,) = second.ask({})

    assert (answer["pid"], other["pid"]) == (first.pid, second.pid)
    assert first.pid != second.pid


def test_a_warm_child_that_died_meanwhile_is_replaced() -> None:
    program = command('import sys; print(\'{"event": "done"}\') if sys.stdin.readline() else 0')
    warm_up(program)
    ((_, dead),) = children._spares._waiting.items()
    os.kill(dead.pid, signal.SIGKILL)
    assert ends_soon(dead.pid)

    with running(program, PATIENCE) as child:
        (answer,) = child.ask({})

    assert answer == {"event": "done"}
    assert child.pid != dead.pid


def test_a_warm_child_that_nobody_takes_ends_with_its_parent() -> None:
    program = (
        "from kalla_core.engine.processes.children import RUN, _spares, warm_up; warm_up(RUN);"
        "print(*(one.pid for one in _spares._waiting.values()))"
    )

    ended = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )

    assert not Path(f"/proc/{ended.stdout.strip()}").exists()


def test_a_child_has_the_variables_that_it_is_to_have() -> None:
    program = command(GO + "print(json.dumps({'event': 'has', 'it': os.environ['KALLA_TEST']}))")
    warm_up(program)
    warm_up(program, {"KALLA_TEST": "this"})

    with running(program, PATIENCE, {"KALLA_TEST": "this"}) as child:
        answers = list(child.ask({}))

    assert answers == [{"event": "has", "it": "this"}]
