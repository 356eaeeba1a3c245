"""What a check of evidence found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from kalla_core.evidence.metadata import RunMetadata


@dataclass(frozen=True, slots=True)
class Damage:
    """One thing that is not as it should be.

    Attributes:
        file: its name in the evidence.
        what: that is wrong, as `SHA-256`.
        expected: what the evidence says of itself.
        found: what is so.
    """

    file: str
    what: str
    expected: str
    found: str

    @property
    def sentence(self) -> str:
        """The damage in words, for a list of them."""
        return f"{self.file}: {self.what}: expected {self.expected}, found {self.found}"


@dataclass(frozen=True, slots=True)
class Check:
    """One check that was made: its name, what it covered, and what it found.

    Attributes:
        skipped: why it was not made, or not of everything; empty where it was.
    """

    name: str
    covered: str
    damages: tuple[Damage, ...] = ()
    skipped: str = ""


@dataclass(frozen=True, slots=True)
class Verification:
    """All checks of some evidence; `metadata` is None where that cannot be read."""

    location: str
    metadata: RunMetadata | None
    checks: tuple[Check, ...]

    @property
    def damages(self) -> tuple[Damage, ...]:
        """Every damage, in the order of the checks."""
        return tuple(damage for check in self.checks for damage in check.damages)

    @property
    def sound(self) -> bool:
        """Whether nothing is damaged."""
        return not self.damages


def verification_json(done: Verification) -> dict[str, Any]:
    """Return a verification as JSON."""
    return {
        "sound": done.sound,
        "evidence": done.location,
        "run_id": None if done.metadata is None else done.metadata.run_id,
        "checks": [
            {
                "check": check.name,
                "covered": check.covered,
                "sound": not check.damages,
                "skipped": check.skipped or None,
            }
            for check in done.checks
        ],
        "damages": [
            {
                "file": damage.file,
                "what": damage.what,
                "expected": damage.expected,
                "found": damage.found,
            }
            for damage in done.damages
        ],
    }
