"""Keeping secrets out of what people and files get to see."""

from __future__ import annotations

import re
from collections.abc import Mapping

MASK = "***"

# To the last @ of the word: an unescaped @ or / in a password must not give its tail away.
_USER_INFO = re.compile(
    r"(?P<head>[A-Za-z][A-Za-z0-9+.-]*://"
    r"(?:\$\{env:\w+\}|(?!\$\{env:)[^\s/:@\"'<>])*:)"
    r"[^\s\"'<>]*(?=@)"
)
_NAMED = re.compile(
    r"(?P<head>(?<![A-Za-z0-9])(?:ssl)?(?:password|passwd|pwd|passfile|secret|token|api_?key"
    r"|(?:aws_)?(?:secret_)?access_key(?:_id)?|(?:aws_)?session_token|signature|sig"
    r"|x-amz-(?:signature|credential|security-token))=)[^\s&\"'<>;,]+",
    re.IGNORECASE,
)
_OPTION = re.compile(
    r"(?P<head>[?&][^=&?\s]*(?:password|passwd|secret|token|credential|signature|key)[^=&?\s]*=)"
    r"[^\s&\"'<>]+",
    re.IGNORECASE,
)
_REFERENCE = re.compile(r"\$\{env:[A-Za-z_][A-Za-z0-9_]*\}")
_SECRET_NAME = re.compile(
    r"password|passwd|secret|token|authorization|credential|api_?key|access_key", re.IGNORECASE
)


def mask_text(text: str) -> str:
    """Return `text` with passwords in URIs and `password=…` pairs replaced by `***`.

    A password that is only named, as `${env:PGPASS}`, stays.
    """
    for pattern in (_USER_INFO, _OPTION, _NAMED):
        text = pattern.sub(_masked, text)
    return text


def mask(value: object, name: str = "") -> object:
    """Return a value as it may be shown; containers of JSON are masked inside.

    Args:
        value: anything; what is neither text nor a container stays as it is.
        name: the field it stands in; `token`, `password` and the like hide the whole value.
    """
    if _SECRET_NAME.search(name) and isinstance(value, str | bytes):
        return MASK
    if isinstance(value, str):
        return mask_text(value)
    if isinstance(value, Mapping):
        return {key: mask(item, str(key)) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [mask(item) for item in value]
    return value


def _masked(found: re.Match[str]) -> str:
    head = found["head"]
    secret = found[0][len(head) :]
    return head + (secret if _REFERENCE.fullmatch(secret) else MASK)
