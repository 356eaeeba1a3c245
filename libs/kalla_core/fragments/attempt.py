"""The name of one try at a fragment, and of everything that the try leaves behind."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, order=True)
class AttemptId:
    """Never used twice, also after a restart of the coordinator.

    Attributes:
        run_attempt: try at the whole job, from 1.
        stage: a word of letters, as `scan`.
        fragment: within the stage, from 0.
        attempt: try at the fragment, from 1.
    """

    run_id: str
    run_attempt: int
    stage: str
    fragment: int
    attempt: int

    def __str__(self) -> str:
        return "/".join((self.run_id, str(self.run_attempt), self.stage, self.number))

    @property
    def number(self) -> str:
        """The fragment and the try at it, as in the names of files."""
        return f"{self.fragment}-{self.attempt}"

    @property
    def file_stem(self) -> str:
        """Name for files of this attempt, unique within the run attempt."""
        return file_stem(self.stage, self.fragment, self.attempt)


def file_stem(stage: str, fragment: int, attempt: int) -> str:
    """Return the name for files of an attempt, unique within the run attempt."""
    return f"{stage}-{fragment}-{attempt}"


def parse_attempt_id(text: str) -> AttemptId:
    """Return the id that `str` made this text of.

    Raises:
        ValueError: it is no such text.
    """
    run_id, run_attempt, stage, number = text.split("/")
    fragment, attempt = number.split("-")
    return AttemptId(run_id, int(run_attempt), stage, int(fragment), int(attempt))
