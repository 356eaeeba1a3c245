"""What this process may use of its machine: memory and cores, as cgroups and affinity allow.

And what its processor is slow at.

A container's limit is in its cgroup, and every ancestor may set a tighter one; `/proc` still shows
the whole machine. Both versions of cgroups are read, wherever they are mounted.
Format of the files: Linux `Documentation/admin-guide/cgroup-v2.rst` and `cgroup-v1/memory.rst`.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

SMALLEST_MEMORY_BYTES = 64 * 2**20
"""A process tree cannot be asked to do with less."""

_ROOT = Path("/")
_MEMORY_SHARE = 0.7
_PROCESSOR_BYTES = 8192  # more than `/proc/cpuinfo` says of one
_V1_UNLIMITED_BYTES = 2**60  # v1 says "no limit" with the largest page-aligned number


@dataclass(frozen=True, slots=True)
class _Mount:
    """A mounted cgroup hierarchy: `controllers` is None for version 2."""

    point: Path
    below: PurePosixPath
    controllers: frozenset[str] | None


def memory_bytes(root: Path = _ROOT) -> int:
    """Return the memory this process may use: the tightest cgroup limit, else all there is.

    Args:
        root: where `/proc` and the cgroup mounts are looked up.
    """
    limits = [*_v2_memory(root), *_v1_memory(root), _physical_bytes(root)]
    return min(limits)


def default_memory_bytes() -> int:
    """Return the memory a run may use when nobody says: 70 % of what this process may have."""
    return max(SMALLEST_MEMORY_BYTES, int(memory_bytes() * _MEMORY_SHARE))


def cores(root: Path = _ROOT, affinity: int | None = None) -> int:
    """Return how many cores this process may keep busy: at least 1, a fraction rounded up.

    Args:
        root: where `/proc` and the cgroup mounts are looked up.
        affinity: cores the scheduler may place it on; found by itself.
    """
    allowed = _affinity() if affinity is None else affinity
    quotas = [*_v2_cores(root), *_v1_cores(root)]
    return max(1, math.ceil(min([float(allowed), *quotas])))


def sorts_slowly_in_wide_registers(root: Path = _ROOT) -> bool:
    """Tell whether NumPy sorts numbers faster here without the AVX-512 that this processor has.

    It gathers what is smaller than a pivot by one instruction that writes into memory, and those of
    AMD take a hundred cycles for it: 60 ns for each of five million numbers, and 12 with AVX2.

    Args:
        root: where `/proc` is looked up.
    """
    try:
        with (root / "proc/cpuinfo").open("rb") as file:
            first = file.read(_PROCESSOR_BYTES).split(b"\n\n", 1)[0]
    except OSError:
        return False
    return b"AuthenticAMD" in first and b" avx512f " in first


def _affinity() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _physical_bytes(root: Path) -> int:
    for line in _read(root / "proc/meminfo").splitlines():
        if line.startswith("MemTotal:"):
            return int(line.split()[1]) * 1024
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def _v2_memory(root: Path) -> Iterator[int]:
    for folder in _folders(root, None):
        text = _read(folder / "memory.max").strip()
        if text.isdecimal():
            yield int(text)


def _v1_memory(root: Path) -> Iterator[int]:
    for folder in _folders(root, "memory"):
        text = _read(folder / "memory.limit_in_bytes").strip()
        if text.isdecimal() and int(text) < _V1_UNLIMITED_BYTES:
            yield int(text)


def _v2_cores(root: Path) -> Iterator[float]:
    for folder in _folders(root, None):
        quota, _, period = _read(folder / "cpu.max").strip().partition(" ")
        if quota.isdecimal() and period.isdecimal():
            yield int(quota) / int(period)


def _v1_cores(root: Path) -> Iterator[float]:
    for folder in _folders(root, "cpu"):
        quota = _read(folder / "cpu.cfs_quota_us").strip()
        period = _read(folder / "cpu.cfs_period_us").strip()
        if quota.isdecimal() and period.isdecimal():  # -1 is no quota
            yield int(quota) / int(period)


def _folders(root: Path, controller: str | None) -> Iterator[Path]:
    """Yield this process's cgroup folder and its ancestors in the hierarchy of a controller."""
    own = _own_path(root, controller)
    if own is None:
        return
    for mount in _mounts(root):
        held = mount.controllers is None if controller is None else _holds(mount, controller)
        if held:
            yield from _upwards(mount, own)


def _holds(mount: _Mount, controller: str) -> bool:
    return mount.controllers is not None and controller in mount.controllers


def _upwards(mount: _Mount, own: PurePosixPath) -> Iterator[Path]:
    # A cgroup outside what is mounted (a container without a namespace of its own) is not to be
    # seen; the mount point itself is then the container's.
    inside = own.relative_to(mount.below) if own.is_relative_to(mount.below) else PurePosixPath()
    folder = mount.point / inside
    while folder != mount.point:
        yield folder
        folder = folder.parent
    yield mount.point


def _own_path(root: Path, controller: str | None) -> PurePosixPath | None:
    """Return this process's cgroup in one hierarchy, from lines like `4:memory:/a/b`."""
    for line in _read(root / "proc/self/cgroup").splitlines():
        number, _, rest = line.partition(":")
        names, _, path = rest.partition(":")
        wanted = (
            number == "0" and not names if controller is None else controller in names.split(",")
        )
        if wanted and path.startswith("/") and ".." not in PurePosixPath(path).parts:
            return PurePosixPath(path)
        if wanted:  # above the namespace's own root, which is what is mounted
            return PurePosixPath("/")
    return None


def _mounts(root: Path) -> Iterator[_Mount]:
    """Read the cgroup lines of mountinfo: `… ROOT POINT OPTIONS … - TYPE SOURCE CONTROLLERS`."""
    for line in _read(root / "proc/self/mountinfo").splitlines():
        before, dash, after = line.partition(" - ")
        left, right = before.split(" "), after.split(" ")
        if not dash or len(left) < 5 or len(right) < 3 or right[0] not in ("cgroup", "cgroup2"):
            continue
        names = None if right[0] == "cgroup2" else frozenset(right[2].split(","))
        yield _Mount(root / left[4].lstrip("/"), PurePosixPath(left[3]), names)


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:  # no such hierarchy, or not for us: it limits nothing that we can see
        return ""


def give_new_files(mode: int) -> None:
    """Let this process, and those it starts from now on, give what they make no more than `mode`.

    Folders may be entered by whoever may read the files. By the mask of the process, so that no
    writer can forget it.
    """
    os.umask(0o777 & ~(mode | mode >> 2 & 0o111))
