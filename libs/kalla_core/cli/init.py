"""`kalla init`: from two sources, and a few yes and no, to a recipe that runs."""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from kalla_core.cli.console import print_json, standard_output
from kalla_core.cli.failures import ExitCode
from kalla_core.cli.run import reconcile, start_logs
from kalla_core.cli.starter_files import refuse_existing, write_starter
from kalla_core.errors import InvalidSetting
from kalla_core.evidence.metadata import RunMetadata
from kalla_core.ids import new_run_id
from kalla_core.inference import Judged, Judgement, Question
from kalla_core.inspection.proposal_document import proposal_document
from kalla_core.inspection.proposing import Proposed, propose, with_keys
from kalla_core.inspection.sampling import Sample, alias_of, samples, source_for
from kalla_core.inspection.trial import on_samples
from kalla_core.recipe.parse import parse_recipe
from kalla_core.recipe.uris import resolve
from kalla_core.settings import load_settings

MAX_QUESTIONS = 8
_ANSWERS = {"y": Judgement.YES, "n": Judgement.NO, "u": Judgement.UNSURE}


def start_recipe(
    left: str, right: str, out: Path, judged: Path | None, *, overwrite: bool, as_json: bool
) -> ExitCode:
    """Infer a recipe for two sources, write it, and say what it does.

    Raises:
        KallaError: a source cannot be read, the judged pairs make no sense, the files exist.
    """
    refuse_existing(out, overwrite=overwrite)
    answers = [] if judged is None else judged_pairs(judged)
    first, second = _samples(left, right)
    found = propose(first, second, answers)
    console = standard_output()
    if not as_json and sys.stdin.isatty() and sys.stdout.isatty():
        found = _asked(console, found, answers)
    tried = None
    if found.document is not None:
        write_starter(found, out, answers)
        tried = try_on_samples(found)
    if as_json:
        counted = None if tried is None else _tried(tried)
        unsure = [] if tried is None else undecidable(tried)
        print_json(proposal_document(found) | {"tried": counted, "undecidable": unsure})
    else:
        _show(console, found, tried, out)
    return ExitCode.USER_ERROR if found.document is None else ExitCode.SUCCEEDED


def judged_pairs(path: Path) -> list[Judged]:
    """Read judged pairs: `[{"left": ["1"], "right": ["9"], "judgement": "yes"}, ...]`.

    Raises:
        InvalidSetting: the file holds something else.
    """
    wanted = '--judged takes a JSON list of {"left": [KEY], "right": [KEY], "judgement": "yes"}'
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        return [
            Judged(_key(one["left"]), _key(one["right"]), Judgement(one["judgement"]))
            for one in found
        ]
    except OSError as error:
        raise InvalidSetting(f"{wanted}; `{path}` cannot be read: {error.strerror}.") from error
    except (ValueError, KeyError, TypeError) as error:
        raise InvalidSetting(f"{wanted}; `{path}` holds something else: {error}.") from error


def _key(value: object) -> tuple[Any, ...]:
    if isinstance(value, Mapping):
        return tuple(value.values())
    return tuple(value) if isinstance(value, list) else (value,)


def _samples(left: str, right: str) -> tuple[Sample, Sample]:
    uris = [resolve(uri, Path.cwd()) for uri in (left, right)]
    aliases = [alias_of(uri, side) for uri, side in zip(uris, ("left", "right"), strict=True)]
    if aliases[0] == aliases[1]:
        aliases = [f"left_{aliases[0]}", f"right_{aliases[1]}"]
    sources = [source_for(uri, alias) for uri, alias in zip(uris, aliases, strict=True)]
    return with_keys(*samples(sources[0], sources[1]))


def _asked(console: Console, found: Proposed, answers: list[Judged]) -> Proposed:
    for number in range(1, MAX_QUESTIONS + 1):
        question = found.proposal.next_question
        if question is None:
            break
        _show_question(console, question, number)
        answer = _answer()
        if answer is None:
            break
        answers.append(Judged(question.left, question.right, answer))
        found = propose(found.left, found.right, answers)
    return found


def _answer() -> Judgement | None:
    while True:
        try:
            text = input("Do they belong together? y(es), n(o), u(nsure), q(uit asking): ")
        except EOFError:
            return None
        word = text.strip().lower()[:1]
        if word == "q":
            return None
        if word in _ANSWERS:
            return _ANSWERS[word]


def _show_question(console: Console, question: Question, number: int) -> None:
    console.print(Text(f"\nQuestion {number} of at most {MAX_QUESTIONS}. {question.why}", "bold"))
    table = Table.grid(padding=(0, 3))
    lefts, rights = list(question.left_row.items()), list(question.right_row.items())
    for place in range(max(len(lefts), len(rights))):
        cells = []
        for side in (lefts, rights):
            name, value = side[place] if place < len(side) else ("", "")
            cells += [Text(name, style="dim"), Text("" if value is None else str(value))]
        table.add_row(*cells)
    console.print(table)


def try_on_samples(found: Proposed) -> RunMetadata:
    """Run the recipe on the samples, and return what came of it.

    Raises:
        KallaError: the run failed.
    """
    recipe = parse_recipe(found.document or {})
    with tempfile.TemporaryDirectory(prefix="kalla-init-") as name:
        here = on_samples(recipe, (found.left, found.right), Path(name))
        settings = load_settings()
        start_logs(settings, quiet=True)
        out = Path(name) / "out"
        return reconcile(here, new_run_id(), out, settings, overwrite=True, quiet=True)


def undecidable(tried: RunMetadata) -> list[str]:
    """Return what no rule can tell: pairs that compete with equal rank."""
    passes = () if tried.reconciliation is None else tried.reconciliation.passes
    return [
        f"{one.held:,} pairs of `{one.name}` compete with others as good; the engine holds them."
        for one in passes
        if one.held
    ]


def _tried(tried: RunMetadata) -> dict[str, int]:
    return {
        "matched_left": tried.left.matched,
        "unmatched_left": tried.left.unmatched,
        "matched_right": tried.right.matched,
        "unmatched_right": tried.right.unmatched,
    }


def _show(console: Console, found: Proposed, tried: RunMetadata | None, out: Path) -> None:
    proposal = found.proposal
    if found.document is None or tried is None:
        _show_refusal(console, found)
        return
    for side, one in (("left", found.left), ("right", found.right)):
        whole = "all of them" if one.whole else f"{len(one.table):,} of them, chosen with partners"
        console.print(Text(f"{side}: {one.spec.alias}, {one.rows:,} rows; looked at {whole}"))
        for sentence in one.guess.undecidable if one.guess is not None else ():
            console.print(Text(f"  Undecidable: {sentence}"))
    for number, each in enumerate(proposal.passes, 1):
        console.print(Text.assemble((f"\n{number}. {each.name}", "bold"), f": {each.says}"))
        console.print(Text(f"   {each.evidence.pairs:,} pairs; {_trust(each.evidence.estimate)}"))
        for sentence in each.evidence.says:
            console.print(Text(f"   {sentence}"))
    for sentence in found.refused:
        console.print(Text(f"Left out: {sentence}"))
    console.print(Text("\nTried on the sample by the engine:", "bold"))
    for side, counted in (("left", tried.left), ("right", tried.right)):
        console.print(
            Text(f"  {side}: {counted.matched:,} matched, {counted.unmatched:,} stay open")
        )
    for sentence in undecidable(tried):
        console.print(Text(f"Undecidable: {sentence}"))
    if proposal.next_question is not None:
        console.print(Text(f"Still in doubt: {proposal.next_question.why}"))
    console.print(Text(f"\nWritten to {out}. Next: kalla run {out / 'recipe.json'}"))


def _trust(estimate: float) -> str:
    return f"about {estimate:.0%} are thought to be right"


def _show_refusal(console: Console, found: Proposed) -> None:
    proposal = found.proposal
    console.print(Text("No rule is plausible; no recipe was written.", "bold"))
    for side, key in (("left", proposal.left_key), ("right", proposal.right_key)):
        if not key:
            console.print(Text(f"The {side} rows: no three columns or fewer tell them apart."))
    said: Sequence[str] = (*proposal.tried, *found.refused)
    for sentence in said or ("No columns of both sides have values in common.",):
        console.print(Text(f"Tried: {sentence}"))
    if proposal.next_question is not None:
        console.print(Text(f"An answer would help: {proposal.next_question.why}"))
