"""Machines of their own for processes: network namespaces on one bridge."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

BRIDGE_ADDRESS = "10.97.0.254/24"


@dataclass(frozen=True)
class Machine:
    """A namespace with one address."""

    name: str
    address: str

    @property
    def prefix(self) -> tuple[str, ...]:
        """What a command begins with that is to run there."""
        return ("ip", "netns", "exec", self.name)

    def bytes_in(self) -> int:
        """Return the bytes that came in from others so far."""
        path = "/sys/class/net/eth0/statistics/rx_bytes"
        said = subprocess.run(
            [*self.prefix, "cat", path], check=True, capture_output=True, text=True
        )
        return int(said.stdout)


def permitted() -> str | None:
    """Return why namespaces cannot be made here; None if they can."""
    name = "kalla-probe"
    try:
        ip("netns", "add", name)
        ip("netns", "delete", name)
    except (OSError, subprocess.CalledProcessError) as error:
        said = getattr(error, "stderr", None) or str(error)
        return str(said).strip()
    return None


@contextmanager
def machines(label: str, names: Sequence[str]) -> Iterator[Mapping[str, Machine]]:
    """Make machines that reach each other and nobody else.

    Args:
        label: at most five letters, for the names of devices.
    """
    with ExitStack() as made:
        hub = f"kh{label}"
        ip("netns", "add", hub)  # the bridge has a namespace too: nothing is left in ours
        made.callback(ip, "netns", "delete", hub)
        ip("-n", hub, "link", "add", "hub", "type", "bridge")
        ip("-n", hub, "link", "set", "hub", "up")
        found = {}
        for number, name in enumerate(names, 1):
            machine = Machine(f"k{label}-{name}", f"10.97.0.{number}")
            ip("netns", "add", machine.name)
            made.callback(ip, "netns", "delete", machine.name)
            port = f"port{number}"
            ip("-n", hub, "link", "add", port, "type", "veth", "peer", "name", "eth0",
               "netns", machine.name)  # fmt: skip
            ip("-n", hub, "link", "set", port, "master", "hub", "up")
            ip("-n", machine.name, "address", "add", f"{machine.address}/24", "dev", "eth0")
            ip("-n", machine.name, "link", "set", "eth0", "up")
            ip("-n", machine.name, "link", "set", "lo", "up")
            found[name] = machine
        yield found


def ip(*arguments: str) -> None:
    """Run iproute2."""
    subprocess.run(["ip", *arguments], check=True, capture_output=True, text=True)
