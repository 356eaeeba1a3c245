"""The commands that read evidence, and their flags: declarations only, as in `app`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kalla_core.cli.remote_app import CarryOut, Debug, Json

if TYPE_CHECKING:
    from kalla_core.cli.failures import ExitCode

Evidence = Annotated[
    str, typer.Argument(metavar="OUT", help="The evidence: a folder or s3://bucket/prefix.")
]


def answer_commands(app: typer.Typer, carry_out: CarryOut) -> None:
    """Add the commands to an application; `carry_out` ends the process with their exit code."""
    _add_export(app, carry_out)
    _add_report(app, carry_out)
    _add_verify(app, carry_out)
    _add_why(app, carry_out)
    _add_compare_runs(app, carry_out)


def _add_export(app: typer.Typer, carry_out: CarryOut) -> None:
    @app.command()
    def export(
        out: Evidence,
        csv: Annotated[bool, typer.Option("--csv", help="As CSV.")] = False,
        xlsx: Annotated[
            bool, typer.Option("--xlsx", help="As an Excel workbook, a sheet for each set.")
        ] = False,
        parquet: Annotated[bool, typer.Option("--parquet", help="As Parquet.")] = False,
        arrow: Annotated[bool, typer.Option("--arrow", help="As an Arrow stream.")] = False,
        sets: Annotated[
            list[str] | None,
            typer.Option(
                "--set",
                metavar="SET",
                help="matched, unmatched_left, unmatched_right, or another that there is. Excel "
                "takes several, and all by default.",
            ),
        ] = None,
        reasons: Annotated[
            list[str] | None,
            typer.Option(
                "--reason",
                metavar="CODE",
                help="Only rows with this reason, as key_not_found. May be repeated.",
            ),
        ] = None,
        columns: Annotated[
            list[str] | None,
            typer.Option(
                "--columns",
                metavar="NAME,NAME",
                help="Only these columns, in this order. May be repeated, for names with commas "
                "as a JSON array.",
            ),
        ] = None,
        output: Annotated[
            Path | None,
            typer.Option(
                "--output", "-o", metavar="FILE", help="Where to. [default: standard output]"
            ),
        ] = None,
        raw: Annotated[
            bool,
            typer.Option(
                "--raw",
                help="Leave text in CSV as it is, also where a spreadsheet takes it for a formula.",
            ),
        ] = False,
        debug: Debug = False,
    ) -> None:
        """Write rows of the evidence OUT in another format, amounts exact."""

        def action() -> ExitCode:
            from kalla_core.cli.export import ExportFlags, export

            chosen = {"csv": csv, "xlsx": xlsx, "parquet": parquet, "arrow": arrow}
            flags = ExportFlags(
                formats=tuple(name for name, wanted in chosen.items() if wanted),
                sets=tuple(sets or ()),
                reasons=tuple(reasons or ()),
                columns=tuple(columns or ()),
                output=output,
                raw=raw,
            )
            return export(out, flags)

        carry_out(action, debug)


def _add_verify(app: typer.Typer, carry_out: CarryOut) -> None:
    @app.command()
    def verify(out: Evidence, as_json: Json = False, debug: Debug = False) -> None:
        """Check the evidence OUT again, from its files alone, and name every damage."""

        def action() -> ExitCode:
            from kalla_core.cli.verify import verify_evidence

            return verify_evidence(out, as_json=as_json)

        carry_out(action, debug)


def _add_why(app: typer.Typer, carry_out: CarryOut) -> None:
    @app.command()
    def why(
        out: Evidence,
        key: Annotated[
            list[str],
            typer.Argument(
                metavar="KEY...",
                help="A primary key; of several columns its parts one by one, or a JSON array.",
            ),
        ],
        side: Annotated[
            str | None,
            typer.Option("--side", metavar="left|right", help="[default: whichever has the key]"),
        ] = None,
        as_json: Json = False,
        debug: Debug = False,
    ) -> None:
        """Say why the row with KEY is matched or not, from the evidence OUT alone."""

        def action() -> ExitCode:
            from kalla_core.cli.why import tell_why

            return tell_why(out, tuple(key), side, as_json=as_json)

        carry_out(action, debug)


def _add_report(app: typer.Typer, carry_out: CarryOut) -> None:
    @app.command()
    def report(
        out: Evidence,
        html: Annotated[
            Path | None,
            typer.Option(
                "--html", metavar="FILE", help="As one page that needs nothing but a browser."
            ),
        ] = None,
        xlsx: Annotated[
            Path | None, typer.Option("--xlsx", metavar="FILE", help="As an Excel workbook.")
        ] = None,
        pdf_ready: Annotated[
            bool,
            typer.Option(
                "--pdf-ready", help="Nothing on the page folded away, to be printed or made a PDF."
            ),
        ] = False,
        debug: Debug = False,
    ) -> None:
        """Write a report of the evidence OUT; by default report.html in the current folder."""

        def action() -> ExitCode:
            from kalla_core.cli.report import write_reports

            return write_reports(out, html, xlsx, pdf_ready=pdf_ready)

        carry_out(action, debug)


def _add_compare_runs(app: typer.Typer, carry_out: CarryOut) -> None:
    @app.command("compare-runs")
    def compare_runs(
        first: Annotated[str, typer.Argument(metavar="A", help="The evidence of the first run.")],
        second: Annotated[str, typer.Argument(metavar="B", help="... and of the second.")],
        as_json: Json = False,
        debug: Debug = False,
    ) -> None:
        """Say what changed from run A to run B of one recipe, key by key."""

        def action() -> ExitCode:
            from kalla_core.cli.compare_runs import show_comparison

            return show_comparison(first, second, as_json=as_json)

        carry_out(action, debug)
