"""The format of rows that a client accepts."""

from __future__ import annotations

from kalla_core.answers.encode import Format

_ALSO = {
    "application/x-parquet": Format.PARQUET,
    "application/parquet": Format.PARQUET,
    "application/arrow": Format.ARROW,
}


def accepted(accept: str | None) -> Format | None:
    """Return the format that an `Accept` header likes best; None if it likes none of ours."""
    if accept is None or not accept.strip():
        return Format.JSON
    liked = [
        (quality, -position, chosen)
        for position, item in enumerate(accept.split(","))
        for chosen, quality in [_liked(item)]
        if chosen is not None and quality > 0
    ]
    return max(liked)[2] if liked else None


def _liked(item: str) -> tuple[Format | None, float]:
    media, *parameters = [piece.strip().lower() for piece in item.split(";")]
    quality = 1.0
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip() == "q":
            quality = _number(value)
    if media in ("*/*", "application/*"):
        return Format.JSON, quality
    if media == "text/*":
        return Format.CSV, quality
    known = {one.value: one for one in Format} | _ALSO
    return known.get(media), quality


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 0.0
