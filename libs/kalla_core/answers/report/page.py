"""The page: one HTML file, its style and script inside, under a policy that allows only these."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator, Mapping
from decimal import Decimal
from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from kalla_core.answers.report.figures import Report, short
from kalla_core.answers.why.words import in_brief
from kalla_core.units import format_bytes

_LONGEST = 2000
_LONGEST_CELL = 80
_SHOWN_MEMBERS = 20

MOST_BYTES = 20_000_000
"""A page stays below this, whatever the evidence."""


def page(report: Report, *, unfolded: bool = False) -> Iterator[bytes]:
    """Yield the page, UTF-8.

    Args:
        unfolded: what the page folds away is open, as a PDF needs it.
    """
    environment = _environment()
    style, script = (environment.get_template(f"report.{kind}").render() for kind in ("css", "js"))
    policy = (
        f"default-src 'none'; style-src '{_hash(style)}'; script-src '{_hash(script)}'; "
        "img-src 'none'; base-uri 'none'; form-action 'none'"
    )
    pieces = environment.get_template("report.html").stream(
        report=report,
        style=Markup(style),  # noqa: S704 - our own file
        script=Markup(script),  # noqa: S704 - likewise
        policy=policy,
        unfolded=unfolded,
        shown_members=_SHOWN_MEMBERS,
    )
    pieces.enable_buffering(200)
    for piece in pieces:
        yield piece.encode()


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("kalla_core.answers.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "n": number,
        "money": money,
        "share": share,
        "brief": in_brief,
        "size": format_bytes,
        "code": code_json,
        "cell": lambda value: short(str(value), _LONGEST_CELL),
    }
    return environment


def number(count: int) -> str:
    """Return a count with commas."""
    return f"{count:,}"


def money(amount: Decimal | str) -> str:
    """Return an amount with commas and all its digits."""
    return f"{Decimal(amount):,f}"


def share(part: int, whole: int) -> str:
    """Return a share as text; 100.0 % means all, never nearly all."""
    if not whole:
        return "–"  # noqa: RUF001 - a dash for no value
    tenths = 1000 * part // whole
    return f"{tenths // 10}.{tenths % 10} %"


def code_json(value: Any) -> str:
    """Return a value of metadata as short text: of lists and documents what is in them."""
    return short(_listed(value), _LONGEST)


def _listed(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{name}: {_listed(one)}" for name, one in value.items())
    if isinstance(value, list | tuple):
        return "; ".join(map(_listed, value))
    return str(value)


def _hash(text: str) -> str:
    digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
    return f"sha256-{digest}"
