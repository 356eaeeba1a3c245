import pytest

from kalla_core import machine

GIB = 2**30
V2_MOUNT = "31 23 0:28 / /sys/fs/cgroup rw - cgroup2 cgroup rw"
V1_MEMORY_MOUNT = "35 31 0:32 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory"
V1_CPU_MOUNT = "32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct"


@pytest.fixture
def root(tmp_path):
    """A machine with 16 GiB and no cgroups."""
    write(tmp_path, {"proc/meminfo": f"MemFree: 1 kB\nMemTotal: {16 * GIB // 1024} kB\n"})
    return tmp_path


def write(root, files):
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def test_without_cgroups_all_the_memory_there_is_may_be_used(root):
    assert machine.memory_bytes(root) == 16 * GIB


def test_the_tightest_limit_of_nested_cgroups_counts(root):
    write(
        root,
        {
            "proc/self/cgroup": "0::/pod/container\n",
            "proc/self/mountinfo": V2_MOUNT,
            "sys/fs/cgroup/pod/container/memory.max": "max\n",
            "sys/fs/cgroup/pod/memory.max": f"{2 * GIB}\n",
            "sys/fs/cgroup/memory.max": f"{8 * GIB}\n",
        },
    )

    assert machine.memory_bytes(root) == 2 * GIB


def test_a_cgroup_without_a_limit_leaves_the_machine(root):
    write(
        root,
        {
            "proc/self/cgroup": "0::/\n",
            "proc/self/mountinfo": V2_MOUNT,
            "sys/fs/cgroup/memory.max": "max\n",
        },
    )

    assert machine.memory_bytes(root) == 16 * GIB


def test_a_limit_above_what_the_machine_has_changes_nothing(root):
    write(
        root,
        {
            "proc/self/cgroup": "0::/a\n",
            "proc/self/mountinfo": V2_MOUNT,
            "sys/fs/cgroup/a/memory.max": str(64 * GIB),
        },
    )

    assert machine.memory_bytes(root) == 16 * GIB


def test_version_1_is_read_from_the_memory_hierarchy(root):
    write(
        root,
        {
            "proc/self/cgroup": "4:memory:/a\n1:cpu,cpuacct:/b\n0::/\n",
            "proc/self/mountinfo": f"{V1_CPU_MOUNT}\n{V1_MEMORY_MOUNT}\n",
            "sys/fs/cgroup/memory/a/memory.limit_in_bytes": str(3 * GIB),
            "sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n",
        },
    )

    assert machine.memory_bytes(root) == 3 * GIB


def test_version_1_says_unlimited_with_a_huge_number(root):
    write(
        root,
        {
            "proc/self/cgroup": "4:memory:/\n",
            "proc/self/mountinfo": V1_MEMORY_MOUNT,
            "sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n",
        },
    )

    assert machine.memory_bytes(root) == 16 * GIB


def test_a_container_that_sees_only_its_own_cgroup_takes_what_is_mounted(root):
    write(
        root,
        {
            "proc/self/cgroup": "4:memory:/docker/abc\n",
            "proc/self/mountinfo": V1_MEMORY_MOUNT.replace(" / /sys", " /docker/abc /sys"),
            "sys/fs/cgroup/memory/memory.limit_in_bytes": str(GIB),
        },
    )

    assert machine.memory_bytes(root) == GIB


def test_a_cgroup_above_the_namespace_takes_what_is_mounted(root):
    write(
        root,
        {
            "proc/self/cgroup": "0::/../other\n",
            "proc/self/mountinfo": V2_MOUNT,
            "sys/fs/cgroup/memory.max": str(GIB),
            "sys/other/memory.max": "1",
        },
    )

    assert machine.memory_bytes(root) == GIB


@pytest.mark.parametrize(
    ("cpu_max", "expected"),
    [("max 100000", 8), ("200000 100000", 2), ("150000 100000", 2), ("10000 100000", 1)],
)
def test_cores_are_bounded_by_the_quota(root, cpu_max, expected):
    write(
        root,
        {
            "proc/self/cgroup": "0::/a\n",
            "proc/self/mountinfo": V2_MOUNT,
            "sys/fs/cgroup/a/cpu.max": cpu_max,
        },
    )

    assert machine.cores(root, affinity=8) == expected


@pytest.mark.parametrize(("quota", "expected"), [("-1", 8), ("300000", 3)])
def test_version_1_quotas_count_too(root, quota, expected):
    write(
        root,
        {
            "proc/self/cgroup": "1:cpu,cpuacct:/\n",
            "proc/self/mountinfo": V1_CPU_MOUNT,
            "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us": quota,
            "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us": "100000",
        },
    )

    assert machine.cores(root, affinity=8) == expected


def test_affinity_bounds_the_cores_when_no_quota_does(root):
    assert machine.cores(root, affinity=3) == 3


def test_this_machine_has_memory_and_cores():
    assert machine.memory_bytes() > 64 * 2**20
    assert machine.cores() >= 1


@pytest.mark.parametrize(
    ("processor", "slow"),
    [
        ("vendor_id : AuthenticAMD\nflags : sse avx2 avx512f avx512dq\n", True),
        ("vendor_id : AuthenticAMD\nflags : sse avx2\n", False),
        ("vendor_id : GenuineIntel\nflags : sse avx2 avx512f avx512dq\n", False),
        ("CPU implementer : 0x41\nFeatures : fp asimd\n", False),
    ],
)
def test_numbers_are_sorted_without_what_a_processor_is_slow_at(root, processor, slow):
    write(root, {"proc/cpuinfo": f"{processor}\nprocessor : 1\nAuthenticAMD avx512f \n"})

    assert machine.sorts_slowly_in_wide_registers(root) is slow


def test_nothing_is_said_of_a_processor_that_nobody_describes(root):
    assert machine.sorts_slowly_in_wide_registers(root) is False
