"""The files of a recipe that was inferred: the recipe, its SQL, and why it is so."""

from __future__ import annotations

import json
import re
import textwrap
from collections.abc import Iterator, Sequence
from pathlib import Path

from kalla_core.errors import OutputExists, OutputNotWritable
from kalla_core.inference import InferredPass, Judged
from kalla_core.inspection.proposing import Proposed

RECIPE = "recipe.json"


def refuse_existing(out: Path, *, overwrite: bool) -> None:
    """Raise OutputExists if a recipe is there that may not be replaced."""
    if (out / RECIPE).exists() and not overwrite:
        raise OutputExists(f"There is a recipe in {out} already.", path=str(out))


def write_starter(found: Proposed, out: Path, judged: Sequence[Judged]) -> None:
    """Write the recipe, the SQL of its passes with comments, and a page that says why.

    Raises:
        OutputNotWritable: the folder takes no files.
    """
    document = dict(found.document or {})
    files: dict[str, str] = {}
    passes = []
    for number, (one, said) in enumerate(
        zip(document["passes"], found.proposal.passes, strict=True), 1
    ):
        written = dict(one)
        if "match_sql" in written:
            name = f"{number}-{_slug(said.name)}.sql"
            files[name] = _commented(said) + str(written.pop("match_sql")) + "\n"
            written["match_sql_file"] = name
        passes.append(written)
    document["passes"] = passes
    files[RECIPE] = json.dumps(document, indent=2, ensure_ascii=False) + "\n"
    files["README.md"] = "\n".join(_page(found, judged)) + "\n"
    try:
        out.mkdir(parents=True, exist_ok=True)
        for name, text in files.items():
            (out / name).write_text(text, encoding="utf-8")
    except OSError as error:
        raise OutputNotWritable(
            f"{out} cannot be written: {error.strerror}.", path=str(out)
        ) from error


def _slug(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:40] or "pass"


def _commented(said: InferredPass) -> str:
    lines = [f"{said.name}: {said.says}.", *said.evidence.says]
    wrapped = [part for line in lines for part in textwrap.wrap(line, 96)]
    return "".join(f"-- {line}\n" for line in wrapped)


def _page(found: Proposed, judged: Sequence[Judged]) -> Iterator[str]:
    proposal = found.proposal
    left, right = found.left.spec.alias, found.right.spec.alias
    yield f"# {left} and {right}\n"
    yield f"Run it with `kalla run {RECIPE}`. It was inferred from"
    yield f"{len(found.left.table):,} of {found.left.rows:,} rows of {left} and"
    yield f"{len(found.right.table):,} of {found.right.rows:,} rows of {right},"
    yield f"with {len(judged)} pairs judged by a person. Change what you know better.\n"
    yield f"A row of {left} is told by {', '.join(proposal.left_key)}, one of {right} by"
    yield f"{', '.join(proposal.right_key)}.\n"
    yield "## Passes, each over what those before have left\n"
    for number, one in enumerate(proposal.passes, 1):
        yield f"{number}. **{one.name}**: {one.says}. {one.evidence.pairs:,} pairs of the sample,"
        yield f"   of which about {one.evidence.estimate:.0%} are thought to be right;"
        yield f"   judged yes {one.evidence.agreed}, no {one.evidence.disagreed}."
        yield from (f"   - {sentence}" for sentence in one.evidence.says)
    said = (*proposal.tried, *found.refused)
    if said:
        yield "\n## Tried, and left out\n"
        yield from (f"- {sentence}" for sentence in said)
