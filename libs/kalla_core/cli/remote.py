"""`kalla submit | status | watch | cancel | fetch | executors`: a coordinator from the terminal.

What needs Arrow is imported by the commands that need it: the others answer sooner.
"""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from kalla_core.cli.console import print_json, standard_error, standard_output
from kalla_core.cli.failures import ExitCode
from kalla_core.cli.interrupts import SIGNALS, Stops, Terminated
from kalla_core.cli.jobs_table import executors_table, job_lines, jobs_table
from kalla_core.cli.watching import show_changes
from kalla_core.client import Client
from kalla_core.errors import InvalidSetting
from kalla_core.ids import RunId, parse_run_id
from kalla_core.jobs.document import executor_document, job_document, page_document, raised
from kalla_core.jobs.model import Job, JobStatus
from kalla_core.settings import ClientSettings, load
from kalla_core.settings.tls import read_authorities

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class SubmitFlags:
    """The flags of `kalla submit` as they were given."""

    overrides: tuple[str, ...] = ()
    run_id: str | None = None
    output_path: str | None = None
    callback_url: str | None = None
    as_json: bool = False


def submit(coordinator: str | None, path: Path, flags: SubmitFlags) -> ExitCode:
    """Submit a recipe file as a job, and print its run id.

    Raises:
        KallaError: the recipe is wrong, or the coordinator does not take it.
    """
    from kalla_core.cli.recipes import read_recipe

    recipe = read_recipe(path, flags.overrides)
    wanted = None if flags.run_id is None else parse_run_id(flags.run_id)

    async def action(client: Client) -> RunId:
        return await client.submit(
            recipe, wanted, output_path=flags.output_path, callback_url=flags.callback_url
        )

    run_id = with_client(coordinator, action)
    if flags.as_json:
        print_json({"run_id": run_id, "status": "accepted"})
    else:
        standard_output().print(run_id, soft_wrap=True)
    return ExitCode.SUCCEEDED


def status(
    coordinator: str | None, run_id: str | None, only: str | None, limit: int, *, as_json: bool
) -> ExitCode:
    """Show one job, or the newest ones as a table.

    Raises:
        KallaError: there is no such job, or the coordinator does not answer.
    """
    if run_id is None:
        wanted = _status(only)
        page = with_client(coordinator, lambda client: client.list(wanted, limit))
        if as_json:
            print_json(page_document(page))
        else:
            standard_output().print(jobs_table(page.jobs), crop=False)
        return ExitCode.SUCCEEDED
    known = parse_run_id(run_id)
    job = with_client(coordinator, lambda client: client.get(known))
    if as_json:
        print_json(job_document(job))
    else:
        standard_output().print(job_lines(job))
    return ExitCode.SUCCEEDED


def watch(coordinator: str | None, run_id: str, *, as_json: bool, quiet: bool = False) -> ExitCode:
    """Show how a job goes on until it has ended, and end as a run of it would.

    Raises:
        KallaError: why the job failed; or there is none, or the coordinator does not answer.
    """
    known = parse_run_id(run_id)
    job = with_client(coordinator, lambda client: follow(client, known, quiet=quiet))
    if as_json:
        print_json(job_document(job))
    elif not quiet:
        standard_output().print(job_lines(job))
    demand_success(job)
    return ExitCode.SUCCEEDED


def cancel(coordinator: str | None, run_id: str, *, as_json: bool) -> ExitCode:
    """Ask a job to stop.

    Raises:
        KallaError: it has ended already, there is none, or the coordinator does not answer.
    """
    known = parse_run_id(run_id)
    job = with_client(coordinator, lambda client: client.cancel(known))
    if as_json:
        print_json(job_document(job))
    else:
        standard_output().print(f"{known} was asked to stop; it is {job.status.value}.")
    return ExitCode.SUCCEEDED


def fetch(
    coordinator: str | None,
    run_id: str,
    output: Path | None,
    *,
    overwrite: bool,
    as_json: bool,
    quiet: bool = False,
) -> ExitCode:
    """Fetch the evidence of a job and show what it says.

    Raises:
        KallaError: there is no evidence, the folder holds another, or the coordinator does not
            answer.
    """
    from kalla_core.cli.summary import show_summary
    from kalla_core.evidence.metadata import to_json

    known = parse_run_id(run_id)
    folder = output or Path("kalla-output") / known
    metadata = with_client(
        coordinator, lambda client: client.fetch(known, folder, overwrite=overwrite)
    )
    if as_json:
        print_json(to_json(metadata))
    elif not quiet:
        show_summary(standard_output(), metadata, folder)
    return ExitCode.SUCCEEDED


def executors(coordinator: str | None, *, as_json: bool) -> ExitCode:
    """List the executors of a coordinator.

    Raises:
        CoordinatorUnavailable: it does not answer.
    """
    listed = with_client(coordinator, lambda client: client.executors())
    if as_json:
        print_json({"executors": [executor_document(one) for one in listed]})
    elif listed:
        standard_output().print(executors_table(listed), crop=False)
    else:
        standard_output().print("No executors are registered; jobs run on the coordinator itself.")
    return ExitCode.SUCCEEDED


def with_client(coordinator: str | None, action: Callable[[Client], Awaitable[T]]) -> T:
    """Return what an action makes of the coordinator that flag or variable name."""
    settings = load(ClientSettings, coordinator=coordinator)
    token = None if settings.token is None else settings.token.get_secret_value()
    authorities = read_authorities(settings.tls_ca_file)

    told: list[int] = []

    async def carry_out() -> T:
        with _cancelled_when_told_to_end(told):
            async with Client(settings.coordinator, token, authorities=authorities) as client:
                return await action(client)

    try:
        return asyncio.run(carry_out())
    except asyncio.CancelledError:
        raise (KeyboardInterrupt if told == [signal.SIGINT] else Terminated) from None


@contextmanager
def _cancelled_when_told_to_end(told: list[int]) -> Iterator[None]:
    """Let the first request to end cancel the task, so that it can clean up.

    An exception from a handler, as elsewhere, could come up in the middle of any step of it.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    stops = Stops()

    def end(number: int) -> None:
        if stops.is_first(number):
            told.append(number)
            if task is not None:
                task.cancel()

    handled = {number: signal.getsignal(number) for number in SIGNALS}
    before = {number: now for number, now in handled.items() if now is not signal.SIG_IGN}
    for number in before:
        loop.add_signal_handler(number, end, number)
    try:
        yield
    finally:
        for number, handler in before.items():
            loop.remove_signal_handler(number)
            signal.signal(number, handler)


async def follow(
    client: Client, run_id: RunId, *, quiet: bool = False, warned: set[str] | None = None
) -> Job:
    """Show the changes of a job on standard error, unless `quiet`; return it once it has ended.

    Args:
        warned: as of `watching`.
    """
    last: Job | None = None
    with show_changes(standard_error(), run_id, quiet=quiet, warned=warned) as show:
        async for job in client.watch(run_id):
            last = job
            show(job)
    assert last is not None  # noqa: S101 - a watch ends with a final state
    return last


def demand_success(job: Job) -> None:
    """Raise why a job did not succeed."""
    if job.error is not None:
        raise raised(job.error)


def _status(word: str | None) -> JobStatus | None:
    try:
        return None if word is None else JobStatus(word)
    except ValueError:
        known: Sequence[str] = [one.value for one in JobStatus]
        raise InvalidSetting(
            f"--status cannot be {word!r}: it is one of {', '.join(known)}."
        ) from None
