"""The commands and their flags.

Only declarations: each command imports the module that carries it out when it is called, because
Arrow and DataFusion take longer to load than `kalla --help` may take to answer.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kalla_core.cli.answers_app import answer_commands
from kalla_core.cli.mcp_app import mcp_command
from kalla_core.cli.remote_app import EvidenceMode, Quiet, remote_commands

if TYPE_CHECKING:
    from kalla_core.cli.failures import ExitCode

app = typer.Typer(
    help="Reconcile two data sets by a SQL rule, with every row accounted for.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,  # its help takes half a second to import
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)

may_fork = False
"""Whether the process is the command's alone, and of one thread; `main` says so."""

Recipe = Annotated[Path, typer.Argument(metavar="RECIPE", help="The recipe, a JSON file.")]
Set = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="PATH=VALUE",
        help="Override one field of the recipe: sources.right.uri=other.csv. May be repeated.",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object on standard output.")]
Debug = Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")]
LogLevel = Annotated[
    str | None,
    typer.Option("--log-level", metavar="LEVEL", help="debug, info, warning, error or off."),
]
LogFormat = Annotated[
    str | None, typer.Option("--log-format", metavar="FORMAT", help="console or json.")
]
Memory = Annotated[
    str | None,
    typer.Option(
        "--memory-limit",
        metavar="SIZE",
        help="Memory for the whole run, as 1GiB; more data than that goes through disk. "
        "[default: 70 % of what this machine or container has]",
    ),
]


def _version(wanted: bool) -> None:
    if not wanted:
        return
    from importlib.metadata import version

    typer.echo(f"kalla {version('kalla')}")
    raise typer.Exit


@app.callback()
def kalla(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    """Reconcile two data sets by a SQL rule, with every row accounted for."""


@app.command()
def run(
    recipe: Recipe,
    output: Annotated[
        str | None,
        typer.Option(
            "--output",
            "-o",
            metavar="DIR",
            help="Folder or s3://bucket/prefix for the evidence. "
            "[default: kalla-output/RECIPE_ID/TIME]",
        ),
    ] = None,
    engine: Annotated[
        str | None,
        typer.Option(
            "--engine", metavar="local|cluster|auto", help="Where the work is done. [default: auto]"
        ),
    ] = None,
    coordinator: Annotated[
        str | None,
        typer.Option(
            "--coordinator", metavar="URL", help="Let this coordinator run it. [default: run here]"
        ),
    ] = None,
    overrides: Set = None,
    memory_limit: Memory = None,
    slots: Annotated[
        int | None, typer.Option("--slots", metavar="N", help="Cores to use. [default: all]")
    ] = None,
    partitions: Annotated[
        str | None, typer.Option("--partitions", metavar="N", help="Parts per source.")
    ] = None,
    buckets: Annotated[
        str | None, typer.Option("--buckets", metavar="N|auto", help="Hash classes of the key.")
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace the evidence of another run in DIR.")
    ] = False,
    evidence_mode: EvidenceMode = None,
    log_level: LogLevel = None,
    log_format: LogFormat = None,
    quiet: Quiet = False,
    fail_on_unmatched: Annotated[
        bool, typer.Option("--fail-on-unmatched", help="Exit with 1 if any row is unmatched.")
    ] = False,
    reports: Annotated[
        list[Path] | None,
        typer.Option(
            "--report",
            metavar="FILE",
            help="Also write a report: report.html, report.xlsx. May be repeated.",
        ),
    ] = None,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Match the two sources of RECIPE and write the evidence."""

    def action() -> ExitCode:
        from kalla_core.cli.environment import keep_evidence_private, start_run_ahead

        keep_evidence_private(evidence_mode)
        if coordinator is None:
            start_run_ahead(memory_limit, may_fork=may_fork)
        from kalla_core.cli.run import RunFlags, run_recipe

        flags = RunFlags(
            output=output,
            engine=engine,
            coordinator=coordinator,
            overrides=tuple(overrides or ()),
            memory_limit=memory_limit,
            slots=slots,
            log_level=log_level,
            log_format=log_format,
            partitions=partitions,
            buckets=buckets,
            overwrite=overwrite,
            fail_on_unmatched=fail_on_unmatched,
            as_json=as_json,
            quiet=quiet,
            reports=tuple(reports or ()),
        )
        return run_recipe(recipe, flags)

    _carry_out(action, debug)


@app.command()
def validate(
    recipe: Recipe, overrides: Set = None, as_json: Json = False, debug: Debug = False
) -> None:
    """Check RECIPE and its sources, and list everything that is wrong."""

    def action() -> ExitCode:
        from kalla_core.cli.validate import validate_file

        return validate_file(recipe, tuple(overrides or ()), as_json=as_json)

    _look(action, debug)


@app.command()
def explain(
    recipe: Recipe,
    overrides: Set = None,
    memory_limit: Memory = None,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Show the query plan as well.")
    ] = False,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Say how RECIPE would be run, and why so."""

    def action() -> ExitCode:
        from kalla_core.cli.explain import explain_file

        return explain_file(
            recipe, tuple(overrides or ()), memory_limit, verbose=verbose, as_json=as_json
        )

    _look(action, debug)


@app.command()
def preview(
    uri: Annotated[str, typer.Argument(metavar="URI", help="A file, a folder or any source URI.")],
    rows: Annotated[
        int, typer.Option("--rows", "-n", min=1, max=10_000, help="How many rows to show.")
    ] = 10,
    types: Annotated[
        list[str] | None,
        typer.Option(
            "--type", metavar="COLUMN=TYPE", help="Type of a CSV column, as amount=decimal(12,2)."
        ),
    ] = None,
    filters: Annotated[
        list[str] | None,
        typer.Option(
            "--filter", metavar="JSON", help='A filter, as {"column":"a","op":"gt","value":1}.'
        ),
    ] = None,
    written: Annotated[
        str | None,
        typer.Option(
            "--format",
            metavar="FILE_OR_JSON",
            help='How a CSV source is written, as {"delimiter":";","decimal":","}.',
        ),
    ] = None,
    guess: Annotated[
        bool,
        typer.Option(
            "--guess", help="Find out how a file is written, and print the `format` that says so."
        ),
    ] = False,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Show the columns, the types and the first rows of a source."""

    def action() -> ExitCode:
        from kalla_core.cli.preview import preview_source

        return preview_source(
            uri,
            rows,
            types=tuple(types or ()),
            filters=tuple(filters or ()),
            written=written,
            guess=guess,
            as_json=as_json,
        )

    _look(action, debug)


@app.command("init")
def start(
    left: Annotated[str, typer.Argument(metavar="LEFT", help="A file or any source URI.")],
    right: Annotated[str, typer.Argument(metavar="RIGHT", help="What it is compared with.")],
    out: Annotated[
        Path, typer.Option("--out", metavar="DIR", help="Where to write the recipe.")
    ] = Path("kalla-recipe"),
    judged: Annotated[
        Path | None,
        typer.Option(
            "--judged",
            metavar="FILE",
            help='Pairs that were judged, as [{"left":["1"],"right":["9"],"judgement":"yes"}].',
        ),
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace a recipe in DIR.")
    ] = False,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Find out how LEFT and RIGHT match, and write a recipe that does it."""

    def action() -> ExitCode:
        from kalla_core.cli.init import start_recipe

        return start_recipe(left, right, out, judged, overwrite=overwrite, as_json=as_json)

    _look(action, debug)


@app.command()
def diff(
    left: Annotated[str, typer.Argument(metavar="LEFT", help="A file, folder or source URI.")],
    right: Annotated[str, typer.Argument(metavar="RIGHT", help="The version to compare it with.")],
    on: Annotated[
        list[str],
        typer.Option("--on", metavar="NAME,NAME", help="The columns that identify a row."),
    ],
    columns: Annotated[
        list[str] | None,
        typer.Option(
            "--columns", metavar="NAME,NAME", help="Only these. [default: all that both have]"
        ),
    ] = None,
    ignored: Annotated[
        list[str] | None,
        typer.Option("--ignore", metavar="NAME,NAME", help="Not these."),
    ] = None,
    tolerances: Annotated[
        list[str] | None,
        typer.Option(
            "--tolerance",
            metavar="NAME=NUMBER",
            help="How far numbers may be apart and be equal, as amount=0.01. May be repeated.",
        ),
    ] = None,
    written: Annotated[
        Path | None,
        typer.Option("--recipe", metavar="FILE", help="Write the recipe that compares them."),
    ] = None,
    output: Annotated[
        str | None,
        typer.Option(
            "--output",
            "-o",
            metavar="DIR",
            help="Folder or s3://bucket/prefix for the evidence. [default: none is kept]",
        ),
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace the evidence of another run in DIR.")
    ] = False,
    evidence_mode: EvidenceMode = None,
    memory_limit: Memory = None,
    slots: Annotated[
        int | None, typer.Option("--slots", metavar="N", help="Cores to use. [default: all]")
    ] = None,
    quiet: Quiet = False,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Say in what two versions of a table differ; exits with 1 if they do."""

    def action() -> ExitCode:
        from kalla_core.cli.environment import keep_evidence_private, start_run_ahead

        keep_evidence_private(evidence_mode)
        start_run_ahead(memory_limit, may_fork=may_fork)
        from kalla_core.cli.diff import DiffFlags
        from kalla_core.cli.diff import diff as compare

        flags = DiffFlags(
            on=tuple(on),
            columns=tuple(columns or ()),
            ignored=tuple(ignored or ()),
            tolerances=tuple(tolerances or ()),
            recipe=written,
            output=output,
            overwrite=overwrite,
            memory_limit=memory_limit,
            slots=slots,
            quiet=quiet,
            as_json=as_json,
        )
        return compare(left, right, flags)

    _carry_out(action, debug)


@app.command()
def demo(
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="Where to put the data and the evidence.")
    ] = Path("kalla-demo"),
    cluster: Annotated[
        bool, typer.Option("--cluster", help="Also on a coordinator and two executors.")
    ] = False,
    debug: Debug = False,
) -> None:
    """Reconcile made-up invoices and payments, step by step."""

    def action() -> ExitCode:
        from kalla_core.cli.demo import show_demo

        return show_demo(folder, cluster=cluster)

    _carry_out(action, debug)


@app.command()
def ui(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Where everything is kept.")] = Path(
        "kalla-ui"
    ),
    port: Annotated[
        int, typer.Option("--port", min=0, max=65535, help="Of the pages; 0 takes a free one.")
    ] = 3000,
    samples: Annotated[
        bool, typer.Option("--samples/--no-samples", help="Load made-up sources and a recipe.")
    ] = True,
    debug: Debug = False,
) -> None:
    """Open Kalla in a browser: the app and a coordinator on this machine, with samples."""

    def action() -> ExitCode:
        from kalla_core.cli.ui import show_ui

        return show_ui(folder, port, samples=samples)

    _carry_out(action, debug)


def _look(action: Callable[[], ExitCode], debug: bool) -> None:
    """Carry out a command that reads sources: where that may bring the process down, in another."""
    from kalla_core.cli.apart import apart
    from kalla_core.cli.failures import guarded

    if not may_fork:
        _carry_out(action, debug)
    _carry_out(lambda: apart(lambda: guarded(action, debug=debug)), debug)


def _carry_out(action: Callable[[], ExitCode], debug: bool) -> None:
    from kalla_core.cli.environment import warn_of_unknown_variables
    from kalla_core.cli.failures import guarded

    warn_of_unknown_variables()
    raise typer.Exit(guarded(action, debug=debug))


answer_commands(app, _carry_out)
remote_commands(app, _carry_out)
mcp_command(app, _carry_out)
