"""Forks of a process that has everything loaded; each test forks a program of its own."""

import json
import resource
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

HEAD = """
import json, os, sys
from kalla_core.engine.processes.children import Limits, running
from kalla_core.engine.processes.forked import Forked, fork
from kalla_core.errors import KallaError

def ask(command=(sys.executable, "-m", "twig"), environment={}, memory_bytes=1 << 30):
    found = {"threads": len(os.listdir("/proc/self/task"))}
    try:
        with running(command, Limits(memory_bytes), environment, start=fork) as child:
            found["forked"] = isinstance(child._process, Forked)
            found["answers"] = list(child.ask({"asked": True}))
    except KallaError as error:
        found |= {"code": error.code, "message": str(error)}
    return found
"""
ASK = HEAD + "print(json.dumps(ask()))"


@pytest.fixture
def twig(tmp_path: Path) -> Path:
    """Return the module that is forked, to be written; it answers what it is asked."""
    path = tmp_path / "twig.py"
    path.write_text(
        "import json, os, sys\n"
        "def main():\n"
        "    asked = json.loads(sys.stdin.readline())\n"
        "    says = {'event': 'done', **asked, 'variable': os.environ.get('KALLA_TEST')}\n"
        "    says['leads'] = os.getsid(0) == os.getpid()\n"
        "    print(json.dumps(says))\n"
        "if __name__ == '__main__':\n"
        "    main()\n"
    )
    return path


def found(twig: Path, program: str = ASK, prefix: str = "") -> Mapping[str, Any]:
    """Return what a new interpreter, single-threaded, finds out."""
    ended = subprocess.run(
        ["/bin/sh", "-c", f'{prefix} exec "$0" -c "$1"', sys.executable, program],
        cwd=twig.parent,
        env={"PYTHONPATH": str(twig.parent)},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        timeout=60,
    )
    return json.loads(ended.stdout)


def test_a_fork_answers_as_a_new_program_would(twig: Path) -> None:
    outcome = found(twig)

    done = {"event": "done", "asked": True, "variable": None, "leads": True}
    assert outcome == {"threads": 1, "forked": True, "answers": [done]}


def test_a_fork_keeps_what_it_lets_go_of_where_its_variables_say_so(twig: Path) -> None:
    twig.write_text(
        "import ctypes, json, resource, sys\n"
        "def main():\n"
        "    sys.stdin.readline()\n"
        "    library = ctypes.CDLL(None)\n"
        "    library.malloc.restype = ctypes.c_void_p\n"
        "    def touch():\n"
        "        memory = library.malloc(8 << 20)\n"
        "        ctypes.memset(memory, 1, 8 << 20)\n"
        "        library.free(ctypes.c_void_p(memory))\n"
        "    touch()\n"
        "    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt\n"
        "    touch()\n"
        "    after = resource.getrusage(resource.RUSAGE_SELF).ru_minflt\n"
        "    print(json.dumps({'event': 'done', 'faults': after - before}))\n"
    )
    keeps = {"MALLOC_MMAP_THRESHOLD_": str(32 << 20), "MALLOC_TRIM_THRESHOLD_": str(64 << 20)}

    kept = found(twig, HEAD + f"print(json.dumps(ask(environment={keeps})))")
    let_go = found(
        twig, HEAD + "print(json.dumps(ask(environment={'MALLOC_TRIM_THRESHOLD_': '0'})))"
    )

    pages = (8 << 20) // resource.getpagesize()
    assert kept["answers"][0]["faults"] < pages // 8
    assert let_go["answers"][0]["faults"] > pages // 2


def test_a_fork_of_a_process_whose_streams_are_closed_has_its_own(twig: Path) -> None:
    outcome = found(twig, prefix="exec 0<&- 2>&-;")

    assert outcome["forked"]
    assert outcome["answers"][0]["asked"]


def test_a_fork_that_is_brought_down_says_by_what(twig: Path) -> None:
    twig.write_text(
        "import os, signal, sys\n"
        "def main():\n"
        "    print('last words', file=sys.stderr)\n"
        "    os.kill(os.getpid(), signal.SIGSEGV)\n"
    )

    outcome = found(twig)

    assert outcome["code"] == "crashed"
    assert "SIGSEGV" in outcome["message"]
    assert "last words" in outcome["message"]


def test_a_fork_that_takes_too_much_memory_is_stopped(twig: Path) -> None:
    twig.write_text(
        "def main():\n    taken = bytearray(b'1' * (256 << 20))\n    input()\n    input()\n"
    )

    outcome = found(twig, HEAD + "print(json.dumps(ask(memory_bytes=128 << 20)))")

    assert outcome["code"] == "out_of_memory"


def test_a_process_with_threads_is_not_forked(twig: Path) -> None:
    other = "import threading; threading.Thread(target=threading.Event().wait, daemon=True).start()"

    outcome = found(twig, f"{HEAD}{other}\nprint(json.dumps(ask()))")

    assert (outcome["threads"], outcome["forked"]) == (2, False)
    assert outcome["answers"][0]["asked"]


def test_variables_that_come_too_late_for_a_fork_are_given_to_a_new_program(twig: Path) -> None:
    command = "(sys.executable, '-m', 'twig'), {'KALLA_TEST': 'this'}"

    early = found(twig, HEAD + f"print(json.dumps(ask({command})))")
    late = found(twig, HEAD + f"import pyarrow; print(json.dumps(ask({command})))")

    assert [one["answers"][0]["variable"] for one in (early, late)] == ["this", "this"]
    assert [one["forked"] for one in (early, late)] == [True, False]
