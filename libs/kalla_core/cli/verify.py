"""`kalla verify`: what was checked, every damage, and an exit code."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table
from rich.text import Text

from kalla_core.answers.verification.damage import Check, Verification, verification_json
from kalla_core.answers.verification.verify import verify
from kalla_core.cli.console import print_json, standard_output
from kalla_core.cli.failures import ExitCode
from kalla_core.errors import SourceUnreadable


def verify_evidence(out: str, *, as_json: bool) -> ExitCode:
    """Check the evidence and show what was found.

    Raises:
        SourceUnreadable: it is damaged; what was found has been shown.
        KallaError: there is none, or its store does not answer.
    """
    done = verify(out)
    if as_json:
        print_json(verification_json(done))
    else:
        _show(standard_output(), done)
    if not done.sound:
        count = len(done.damages)
        damages = "1 damage" if count == 1 else f"{count} damages"
        raise SourceUnreadable(f"The evidence {out} has {damages}; do not rely on it.", path=out)
    return ExitCode.SUCCEEDED


def _show(console: Console, done: Verification) -> None:
    run = "" if done.metadata is None else f" (run {done.metadata.run_id})"
    verdict = ("is sound", "bold green") if done.sound else ("is damaged", "bold red")
    console.print(Text.assemble((done.location, "bold"), " ", verdict, run))
    table = Table.grid(padding=(0, 2))
    for check in done.checks:
        table.add_row(Text("  ") + _mark(check), check.name, check.covered or check.skipped)
        if check.covered and check.skipped:
            table.add_row("", "", Text(f"not all of it: {check.skipped}", style="dim"))
        for damage in check.damages:
            table.add_row("", "", Text(damage.sentence, style="red"))
    console.print(table)


def _mark(check: Check) -> Text:
    if check.damages:
        return Text("✗", style="red")
    return Text("✓", style="green") if check.covered else Text("-", style="dim")
