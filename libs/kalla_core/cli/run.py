"""`kalla run`: a recipe from its file to evidence and a summary."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from kalla_core.cli.console import print_json, standard_error, standard_output
from kalla_core.cli.failures import ExitCode
from kalla_core.cli.progress import watching
from kalla_core.cli.recipes import read_recipe
from kalla_core.cli.refusals import all_faults
from kalla_core.cli.written_file import refuse_evidence, report_files
from kalla_core.engine.programs.local import RunRequest, Supervision, run_local
from kalla_core.errors import InvalidSetting, KallaError
from kalla_core.evidence.finding import Finding, Findings
from kalla_core.evidence.metadata import RunMetadata, to_json
from kalla_core.ids import RunId, new_run_id
from kalla_core.matching.sql.query import Side
from kalla_core.recipe.model import EngineChoice, Recipe
from kalla_core.s3.location import is_s3
from kalla_core.settings import LogLevel, Settings, load_settings

OUTPUT_ROOT = Path("kalla-output")


@dataclass(frozen=True, slots=True)
class RunFlags:
    """The flags of `kalla run` as they were given; None where they were not."""

    output: str | None = None
    engine: str | None = None
    coordinator: str | None = None
    overrides: tuple[str, ...] = ()
    memory_limit: str | None = None
    slots: int | None = None
    partitions: str | None = None
    buckets: str | None = None
    log_level: str | None = None
    log_format: str | None = None
    overwrite: bool = False
    fail_on_unmatched: bool = False
    as_json: bool = False
    quiet: bool = False
    reports: tuple[Path, ...] = ()


def run_recipe(path: Path, flags: RunFlags) -> ExitCode:
    """Run a recipe and show what came out of it.

    Raises:
        KallaError: what went wrong; no evidence was left.
    """
    settings = load_settings(
        memory_limit_bytes=flags.memory_limit,
        slots=flags.slots,
        log_level=flags.log_level,
        log_format=flags.log_format,
    )
    later = partial(_load_later, settings, flags)
    if _tells_of_runs(settings, quiet=flags.quiet):
        start_logs(settings, quiet=flags.quiet)
    recipe = read_recipe(path, _overrides(flags))
    run_id = new_run_id()
    output = flags.output or default_output(recipe, run_id, datetime.now(UTC))
    overwrite = flags.overwrite or recipe.options.overwrite
    html, xlsx = report_files(flags.reports)
    for path in flags.reports:
        refuse_evidence(path, str(output))
    warned: set[str] = set()
    found: dict[Side, tuple[Finding, ...]] | None = None
    if flags.coordinator is None:
        _refuse_cluster(recipe)
        if _shows_summary(flags):
            found = {}
        metadata = reconcile(
            recipe,
            run_id,
            output,
            settings,
            overwrite=overwrite,
            quiet=flags.quiet,
            warned=warned,
            on_findings=None if found is None else found.update,
            meanwhile=later,
        )
    else:
        from kalla_core.cli.remote_run import reconcile_remotely

        later()
        _refuse_local(flags)
        metadata = reconcile_remotely(
            flags.coordinator,
            recipe,
            run_id,
            _folder(output),
            overwrite=overwrite,
            quiet=flags.quiet,
            warned=warned,
        )
    if flags.reports:
        from kalla_core.cli.report import write_report

        write_report(str(output), html, xlsx)
    if flags.as_json:
        print_json(to_json(metadata))
    elif _shows_summary(flags):
        from kalla_core.cli.summary import show_summary

        show_summary(standard_output(), metadata, output, warned, found)
    left_over = metadata.left.unmatched or metadata.right.unmatched
    return ExitCode.UNMATCHED if flags.fail_on_unmatched and left_over else ExitCode.SUCCEEDED


def reconcile(
    recipe: Recipe,
    run_id: RunId,
    output: str | Path,
    settings: Settings,
    *,
    overwrite: bool,
    quiet: bool = False,
    warned: set[str] | None = None,
    on_findings: Callable[[Findings], object] | None = None,
    meanwhile: Callable[[], object] = lambda: None,
) -> RunMetadata:
    """Run a recipe on this machine and, unless `quiet`, show its progress on standard error.

    Args:
        warned: as of `watching`.
        on_findings: as of `Supervision`; likewise `meanwhile`.

    Raises:
        KallaError: what went wrong; no evidence was left.
    """
    request = RunRequest(
        recipe=recipe,
        run_id=run_id,
        output=output,
        memory_limit_bytes=settings.memory_limit_bytes,
        threads=settings.slots,
        overwrite=overwrite,
    )
    log = _log_of_run(settings, run_id, quiet=quiet)
    log("run_started", recipe_id=recipe.recipe_id, output=str(output))
    try:
        supervision = Supervision(on_findings=on_findings, meanwhile=meanwhile)
        if quiet:
            metadata = run_local(request, lambda _: None, supervision)
        else:
            with watching(standard_error(), run_id, warned=warned) as on_progress:
                metadata = run_local(request, on_progress, supervision)
    except KallaError as error:
        refused = all_faults(recipe, error)
        told = error if refused is None else refused
        log("run_failed", code=told.code)  # the paragraph says the rest
        raise told from error.__cause__ if told is error else error
    log("run_completed", strategy=metadata.strategy, matched_count=metadata.matched_count)
    return metadata


def start_logs(settings: Settings, *, quiet: bool = False) -> None:
    """Set up logs; if `quiet` or beside the bars of a terminal only warnings, unless asked for."""
    from kalla_core.observe.logs import configure_logs

    configure_logs(_log_level(settings, quiet=quiet), settings.log_format)


def _log_level(settings: Settings, *, quiet: bool) -> LogLevel:
    asked = "log_level" in settings.model_fields_set
    fewer = (quiet or standard_error().is_terminal) and not asked
    return LogLevel.WARNING if fewer else settings.log_level


def _tells_of_runs(settings: Settings, *, quiet: bool) -> bool:
    """Whether the log tells that runs start and end; what tells it takes long to load."""
    return _log_level(settings, quiet=quiet) in (LogLevel.DEBUG, LogLevel.INFO)


def _log_of_run(settings: Settings, run_id: RunId, *, quiet: bool) -> Callable[..., object]:
    """Return what takes an event and its fields."""
    if not _tells_of_runs(settings, quiet=quiet):
        return lambda _event, **_fields: None
    from kalla_core.observe.logs import get_logger

    return get_logger(run_id=run_id).info


def _shows_summary(flags: RunFlags) -> bool:
    return not flags.quiet and not flags.as_json


def _load_later(settings: Settings, flags: RunFlags) -> None:
    """Load what tells of a run, where that was not needed yet: its log, and its summary."""
    start_logs(settings, quiet=flags.quiet)
    if _shows_summary(flags):
        import kalla_core.cli.summary  # noqa: F401


def default_output(recipe: Recipe, run_id: RunId, now: datetime) -> Path:
    """Return a folder of its own for a run: `kalla-output/RECIPE_ID/20260331T120000Z-1a2b3c4d`."""
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", recipe.recipe_id).strip(".-") or "recipe"
    return OUTPUT_ROOT / name[:80] / f"{now:%Y%m%dT%H%M%SZ}-{run_id[:8]}"


def _folder(output: str | Path) -> Path:
    """Return the folder that evidence is fetched into."""
    if isinstance(output, str) and is_s3(output):
        raise InvalidSetting(
            "With --coordinator the evidence is fetched into a folder of this machine. To have it"
            f" written to {output}, use `kalla submit --output-path {output}`.",
            settings=["--output"],
        )
    return Path(output)


def _overrides(flags: RunFlags) -> tuple[str, ...]:
    """Return all overrides; a flag of its own counts after `--set`."""
    options = {"engine": flags.engine, "partitions": flags.partitions, "buckets": flags.buckets}
    named = (f"options.{name}={value}" for name, value in options.items() if value is not None)
    return (*flags.overrides, *named)


def _refuse_cluster(recipe: Recipe) -> None:
    if recipe.options.engine is EngineChoice.CLUSTER:
        raise InvalidSetting(
            "The engine `cluster` needs a coordinator: name one with --coordinator URL; "
            "`local` and `auto` run the recipe in this process.",
            engine="cluster",
        )


def _refuse_local(flags: RunFlags) -> None:
    given = {"--memory-limit": flags.memory_limit, "--slots": flags.slots}
    for name, value in given.items():
        if value is not None:
            raise InvalidSetting(
                f"{name} is about runs in this process; what a coordinator uses is set there."
            )
