"""Letting errors say which source they are about."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from kalla_core.errors import KallaError, SourceUnavailable
from kalla_core.recipe.model import SourceSpec
from kalla_core.sources.uri import mask


@contextmanager
def naming(spec: SourceSpec) -> Iterator[None]:
    """Put a source's alias and masked URI before the message of what is raised inside."""
    try:
        yield
    except OSError as cause:
        raise SourceUnavailable(
            f"Source `{spec.alias}` ({mask(spec.uri or '')}) cannot be read: {cause}.",
            source=spec.alias,
        ) from cause
    except KallaError as error:
        uri = mask(spec.uri or "")
        about = {"source": spec.alias, "uri": uri, **error.details}
        message = f"Source `{spec.alias}` ({uri}): {error.message}"
        raise type(error)(message, **about).with_traceback(error.__traceback__) from error.__cause__
