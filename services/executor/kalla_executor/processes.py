"""The processes of slots, seen from the executor: a task goes in, what became of it comes out.

A process whose fragment ended well rests until there is another: it has its threads and its memory
already, and the match SQL planned. What did not end well, was stopped, or has read from a database,
whose driver keeps what it learnt, is killed. One that died as it rested, or ended because it had
grown, is replaced, and the fragment that it would have had notices nothing.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import suppress

from kalla_core.engine.processes.children import Answer, Child, Limits, running
from kalla_core.engine.processes.spawned import Start
from kalla_core.errors import Crashed
from kalla_core.fragments.outcome import FragmentFailed, FragmentProgress, Outcome
from kalla_core.fragments.remote import Launch, ScanWork
from kalla_core.observe.logs import get_logger
from kalla_core.recipe.uris import LOCAL, scheme_of
from kalla_executor import tasks
from kalla_executor.metrics import ExecutorMetrics

CHILD = (sys.executable, "-m", "kalla_executor.child")
"""The command of a slot's process."""

Tell = Callable[[FragmentProgress], None]


class SlotProcesses:
    """Carries tasks out in processes of their own. Safe from any thread.

    Args:
        start: hands over a process that rests, or starts one.
    """

    def __init__(self, start: Start, metrics: ExecutorMetrics) -> None:
        self._start = start
        self._metrics = metrics

    def carry_out(
        self,
        task: tasks.Task,
        limits: Callable[[], Limits],
        tell: Tell,
        fetched: Callable[[], None],
    ) -> Outcome:
        """Return what became of a task.

        Args:
            limits: of the process, from now on.
            tell: takes reports.
            fetched: called once all is here that peers had.

        Raises:
            KallaError: as `Child.ask` does, and as `limits` does.
        """
        while True:  # as often as there are processes that rest, at most
            with suppress(_NotBegun), running(CHILD, limits(), start=self._start) as child:
                return self._ask(child, task, tell, fetched)

    def _ask(
        self, child: Child, task: tasks.Task, tell: Tell, fetched: Callable[[], None]
    ) -> Outcome:
        begun = False
        try:
            for answer in child.ask(tasks.task_json(task)):
                begun = True
                if answer["event"] == "fetched":
                    fetched()
                outcome = self._heard(answer, task, tell)
                if outcome is None:
                    continue
                if task.rest_bytes is not None and not isinstance(outcome, FragmentFailed):
                    child.keep()
                return outcome
            raise Crashed("The process of a slot ended and did not say what became of it.")
        except Crashed as error:
            if begun or child.is_new:
                raise
            raise _NotBegun from error

    def _heard(self, answer: Answer, task: tasks.Task, tell: Tell) -> Outcome | None:
        """Take an answer; the last one is the outcome."""
        match answer["event"]:
            case "began":
                return None
            case "progress":
                tell(tasks.progress_from(answer))
                return None
            case "fetched":
                told = {name: value for name, value in answer.items() if name != "event"}
                self._metrics.fetched(**told)
                return None
            case "ended":
                if answer["traceback"]:
                    get_logger().warning(
                        "fragment_failed",
                        attempt=str(task.launch.id),
                        traceback=answer["traceback"],
                    )
                return tasks.ended_from(answer).outcome
            case event:
                raise Crashed(f"The process of a slot told of an unknown event: {event}.")


class _NotBegun(Exception):
    """A process that had rested ended before it had begun with its task."""


def leaves_nothing(launch: Launch) -> bool:
    """Whether a fragment leaves its process as good as new."""
    if not isinstance(launch.work, ScanWork):
        return True
    source = launch.job.source(launch.work.table)
    return scheme_of(source.spec.uri or "") in (LOCAL, "s3")
