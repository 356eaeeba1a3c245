"""What an executor and the process of one of its slots tell each other, as JSON.

Fragments and outcomes go as their protobuf messages, in base64: there is one conversion of them.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kalla_core.engine.budget import Budget, budget
from kalla_core.engine.spool.requests import by_executor, wants
from kalla_core.engine.spool.spool_folder import SpoolFolder
from kalla_core.fragments.outcome import FragmentEnded, FragmentProgress
from kalla_core.fragments.remote import Launch
from kalla_core.sources.access_json import access_json, access_of
from kalla_core.sources.protocol import EVERYTHING, SourceAccess
from kalla_core.wire.fragments import launch_message, launch_of
from kalla_core.wire.generated import executors_pb2 as pb
from kalla_core.wire.outcomes import ended_message, ended_of, progress_message, progress_of
from kalla_executor.fetch import Request

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Task:
    """One attempt for one slot.

    Attributes:
        tickets: by executor, for those that hold what the fragment wants; none for this one.
        rest_bytes: what the process may hold and still be used for another fragment; None if it
            is not to be.
        authorities: by which peers are known, as PEM; None where nobody speaks TLS.
        access: what sources may be reached.
    """

    launch: Launch
    executor_id: str
    folder: SpoolFolder
    budget: Budget
    tickets: Mapping[str, bytes]
    rest_bytes: int | None = None
    authorities: bytes | None = None
    access: SourceAccess = EVERYTHING

    def requests(self) -> list[Request]:
        """Return what is to be fetched of each peer."""
        wanted = by_executor(wants(self.launch.work))
        return [
            Request(
                peer,
                mine[0].place.host,
                mine[0].place.port,
                self.tickets[peer],
                mine,
                self.authorities,
            )
            for peer, mine in wanted.items()
            if peer != self.executor_id
        ]


def task_json(task: Task) -> Json:
    """Return a task as JSON."""
    return {
        "launch": _text(launch_message(task.launch).SerializeToString()),
        "executor_id": task.executor_id,
        "folder": str(task.folder.path),
        "limit_bytes": task.budget.limit_bytes,
        "threads": task.budget.threads,
        "tickets": {peer: _text(ticket) for peer, ticket in task.tickets.items()},
        "stays": task.rest_bytes is not None,
        "rest_bytes": task.rest_bytes,
        "access": access_json(task.access),
        "authorities": None if task.authorities is None else _text(task.authorities),
    }


def task_of(document: Mapping[str, Any]) -> Task:
    """Return the task that `task_json` described."""
    authorities = document["authorities"]
    return Task(
        launch=launch_of(pb.Launch.FromString(base64.b64decode(document["launch"]))),
        executor_id=document["executor_id"],
        folder=SpoolFolder(Path(document["folder"])),
        budget=budget(document["limit_bytes"], document["threads"]),
        tickets={peer: base64.b64decode(text) for peer, text in document["tickets"].items()},
        access=access_of(document["access"]),
        rest_bytes=document["rest_bytes"],
        authorities=None if authorities is None else base64.b64decode(authorities),
    )


def progress_json(progress: FragmentProgress) -> Json:
    """Return a report as an answer of the slot's process."""
    return {
        "event": "progress",
        "progress": _text(progress_message(progress).SerializeToString()),
    }


def progress_from(answer: Mapping[str, Any]) -> FragmentProgress:
    """Return the report of such an answer."""
    return progress_of(pb.FragmentProgress.FromString(base64.b64decode(answer["progress"])))


def ended_json(ended: FragmentEnded, traceback: str = "") -> Json:
    """Return an end as an answer of the slot's process."""
    text = _text(ended_message(ended).SerializeToString())
    return {"event": "ended", "ended": text, "traceback": traceback}


def ended_from(answer: Mapping[str, Any]) -> FragmentEnded:
    """Return the end of such an answer."""
    return ended_of(pb.FragmentEnded.FromString(base64.b64decode(answer["ended"])))


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()
