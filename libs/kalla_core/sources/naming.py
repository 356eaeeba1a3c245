"""Letting errors say which source they are about."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from kalla_core.errors import KallaError, SourceUnavailable
from kalla_core.recipe.model import SourceSpec
from kalla_core.sources.uri import mask

NAMELESS = "source"
"""The alias of a source that is looked at without having been given one."""


@contextmanager
def naming(spec: SourceSpec) -> Iterator[None]:
    """Put a source's alias, if it has one, and masked URI before what is raised inside says."""
    try:
        yield
    except OSError as cause:
        raise SourceUnavailable(
            f"{_called(spec)} cannot be read: {cause}.",
            source=spec.alias,
        ) from cause
    except KallaError as error:
        uri = mask(spec.uri or "")
        about = {"source": spec.alias, "uri": uri, **error.details}
        message = f"{_called(spec)}: {error.message}"
        raise type(error)(message, **about).with_traceback(error.__traceback__) from error.__cause__


def _called(spec: SourceSpec) -> str:
    uri = mask(spec.uri or "")
    return f"The source {uri}" if spec.alias == NAMELESS else f"Source `{spec.alias}` ({uri})"
