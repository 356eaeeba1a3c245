"""`kalla report`: what a run found, as a page and as a workbook."""

from __future__ import annotations

from pathlib import Path

from rich.text import Text

from kalla_core.answers.report.gather import gather
from kalla_core.answers.report.page import page
from kalla_core.answers.report.sheets import workbook
from kalla_core.cli.console import standard_output
from kalla_core.cli.failures import ExitCode
from kalla_core.cli.written_file import refuse_evidence, write_file
from kalla_core.evidence.reader import open_evidence
from kalla_core.units import format_bytes

USUAL = Path("report.html")


def write_reports(
    out: str, html: Path | None, xlsx: Path | None, *, pdf_ready: bool = False
) -> ExitCode:
    """Write the files that are asked for, the page if none is, and say where they are.

    Raises:
        KallaError: the evidence cannot be read, or a file cannot be written.
    """
    for path in write_report(out, html, xlsx, pdf_ready=pdf_ready):
        size = format_bytes(path.stat().st_size)
        standard_output().print(Text.assemble("Report in ", (str(path), "bold"), f", {size}"))
    return ExitCode.SUCCEEDED


def write_report(
    out: str, html: Path | None, xlsx: Path | None, *, pdf_ready: bool = False
) -> list[Path]:
    """Write the files that are asked for, the page if none is; return their paths."""
    if html is None and xlsx is None:
        html = USUAL
    for path in (html, xlsx):
        refuse_evidence(path, out)
    with open_evidence(out) as evidence:
        report = gather(evidence, out)
        if html is not None:
            write_file(html, page(report, unfolded=pdf_ready))
        if xlsx is not None:
            write_file(xlsx, workbook(evidence, report))
    return [path for path in (html, xlsx) if path is not None]
