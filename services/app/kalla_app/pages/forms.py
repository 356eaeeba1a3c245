"""What forms send, with the word that shows it was a page of ours."""

from __future__ import annotations

from urllib.parse import parse_qsl, urlsplit

from fastapi import Request
from fastapi.responses import RedirectResponse, Response

from kalla_app.access.gate import CSRF_FIELD, demand_word, visit
from kalla_core.errors import RequestRefused
from kalla_core.serving.bodies import body_of

_MOST_FIELDS = 2000


async def form_of(request: Request) -> dict[str, str]:
    """Return the fields of a form of a session; of those with one name, the last.

    Raises:
        NotAllowed: it was not made for this session.
        RequestRefused: it is none.
    """
    return {name: values[-1] for name, values in (await lists_of(request)).items()}


async def lists_of(request: Request) -> dict[str, list[str]]:
    """Return the fields of a form of a session, all of each name.

    Raises:
        NotAllowed, RequestRefused: as `form_of`.
    """
    fields: dict[str, list[str]] = {}
    for name, value in await _pairs(request):
        fields.setdefault(name, []).append(value)
    demand_word(visit.get(), fields.pop(CSRF_FIELD, [""])[-1])
    return fields


async def plain_form_of(request: Request) -> dict[str, str]:
    """Return the fields of a form that belongs to no session.

    Raises:
        RequestRefused: it is none.
    """
    return dict(await _pairs(request))


async def _pairs(request: Request) -> list[tuple[str, str]]:
    body = await body_of(request)
    try:
        pairs = parse_qsl(body.decode("utf-8"), keep_blank_values=True, max_num_fields=_MOST_FIELDS)
    except ValueError as error:
        raise RequestRefused(f"This is no form: {error}.") from error
    # Browsers send line ends as Windows writes them, whatever was there before.
    return [(name, value.replace("\r\n", "\n")) for name, value in pairs]


def seen(address: str) -> Response:
    """Send a browser on to a page, after it has sent a form."""
    return RedirectResponse(address, 303)


def own_path(text: str) -> str:
    """Return a path of ours to go on to; the first page if it leads elsewhere."""
    parts = urlsplit(text)
    is_own = not parts.scheme and not parts.netloc and text.startswith("/")
    return text if is_own and not text.startswith(("//", "/\\")) else "/"
