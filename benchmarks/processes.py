"""Running a command and measuring it: wall time, CPU time, peak memory of its process tree.

Memory is sampled from `/proc`. RSS costs next to nothing to read but counts memory that processes
share once for each of them. PSS shares it out, which is right, but reading it makes the kernel
walk all pages, which takes time from the command; so it is for runs whose time does not count.
Where there is no `/proc`, memory is unknown.
"""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from threading import Event, Thread
from time import perf_counter

import psutil

_PROC = Path("/proc")


class Memory(Enum):
    """What is sampled, and how often (seconds)."""

    RSS = 0.02
    PSS = 0.1


@dataclass(frozen=True, slots=True)
class Measured:
    """How a command went.

    Attributes:
        seconds: wall time from start to end.
        cpu_seconds: user and system time of the process and the children it waited for.
        peak_bytes: largest sum over the process tree that a sample saw; None without `/proc`.
        exit_code: negative for a signal.
    """

    seconds: float
    cpu_seconds: float
    peak_bytes: int | None
    exit_code: int
    stdout: str
    stderr: str


class _Ended:
    """Waits for a process in a thread of its own, so that its end is timed to the moment."""

    def __init__(self, process: subprocess.Popen[bytes], started: float) -> None:
        self.event = Event()
        self.seconds = 0.0
        self.cpu_seconds = 0.0
        self._process = process
        self._started = started
        self.thread = Thread(target=self._wait, name="waits-for-command")
        self.thread.start()

    def _wait(self) -> None:
        _, status, usage = os.wait4(self._process.pid, 0)
        self.seconds = perf_counter() - self._started
        self.cpu_seconds = usage.ru_utime + usage.ru_stime
        self._process.returncode = os.waitstatus_to_exitcode(status)
        self.event.set()


def run_measured(
    command: Sequence[str],
    log: Path,
    memory: Memory = Memory.RSS,
    environment: Mapping[str, str] | None = None,
    timeout_seconds: float = 3_600,
) -> Measured:
    """Run a command to its end and measure it; its output goes through files beside `log`.

    After `timeout_seconds` it is killed with all its children, and so it is if the caller is
    interrupted.
    """
    out, err = log.with_suffix(".out"), log.with_suffix(".err")
    with out.open("wb") as stdout, err.open("wb") as stderr:
        started = perf_counter()
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=stderr,
            env={**os.environ, **(environment or {})},
            start_new_session=True,
        )
        ended = _Ended(process, started)
        try:
            peak = _sample_until(ended.event, process.pid, memory, started + timeout_seconds)
        finally:
            if not ended.event.is_set():
                with suppress(ProcessLookupError):  # it ended just now
                    os.killpg(process.pid, signal.SIGKILL)
            ended.thread.join()
    return Measured(
        seconds=ended.seconds,
        cpu_seconds=ended.cpu_seconds,
        peak_bytes=peak,
        exit_code=process.returncode,
        stdout=out.read_text(errors="replace"),
        stderr=err.read_text(errors="replace"),
    )


def _sample_until(end: Event, pid: int, memory: Memory, deadline: float) -> int | None:
    peak: int | None = None
    while not end.is_set() and perf_counter() < deadline:
        now = tree_bytes(pid, memory)
        if now is not None:
            peak = max(peak or 0, now)
        end.wait(memory.value)
    return peak


def tree_bytes(pid: int, memory: Memory) -> int | None:
    """Return the memory of a process and all below it now; None without `/proc`."""
    if not _PROC.is_dir():
        return None
    read = _pss_bytes if memory is Memory.PSS else _rss_bytes
    return sum(read(_PROC / str(member)) for member in tree(pid))


def tree_cpu_s(pid: int) -> float:
    """Return the CPU seconds that a process and all below it have used, ended ones included.

    What ends is counted from when its parent has waited for it.
    """
    used = 0.0
    for member in tree(pid):
        with suppress(psutil.NoSuchProcess):
            used += sum(psutil.Process(member).cpu_times()[:4])
    return used


def command_of(pid: int) -> str:
    """Return the command line of a process; empty once it has ended."""
    try:
        return (_PROC / str(pid) / "cmdline").read_text().replace("\0", " ")
    except (FileNotFoundError, ProcessLookupError):
        return ""


def tree(pid: int) -> list[int]:
    """Return a process and all below it, itself first."""
    members = [pid]
    for member in members:
        members.extend(children(member))
    return members


def children(pid: int) -> list[int]:
    """Return the processes that a process has started and that have not ended."""
    found: list[int] = []
    try:
        for task in (_PROC / str(pid) / "task").iterdir():
            found.extend(map(int, (task / "children").read_text().split()))
    except (FileNotFoundError, ProcessLookupError):
        return found  # it ended while we looked
    return found


def _rss_bytes(process: Path) -> int:
    try:
        return int((process / "statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (FileNotFoundError, ProcessLookupError, IndexError):
        return 0  # it has ended


def _pss_bytes(process: Path) -> int:
    try:
        lines = (process / "smaps_rollup").read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return 0  # it has ended
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))
