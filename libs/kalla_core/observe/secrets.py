"""Keeping secrets out of what people and files get to see."""

from __future__ import annotations

import re
import string
from collections.abc import Mapping

MASK = "***"

# Everything here takes time in proportion to the text, whoever wrote it.
_WORD = re.compile(r"[^\s\"'<>]+")
_USER = re.compile(r"/*(?:\$\{env:\w+\}|(?!\$\{env:)[^/:@])*:")
_SCHEME_END = frozenset(string.ascii_letters + string.digits + "+.-")
_NAMED = re.compile(
    r"(?P<head>(?<![A-Za-z0-9])(?:ssl)?(?:password|passwd|pwd|passfile|secret|token|api_?key"
    r"|(?:aws_)?(?:secret_)?access_key(?:_id)?|(?:aws_)?session_token|signature|sig"
    r"|x-amz-(?:signature|credential|security-token))=)[^\s&\"'<>;,]+",
    re.IGNORECASE,
)
_OPTION = re.compile(r"(?P<head>[?&](?P<name>[^=&?\s]*)=)[^\s&\"'<>]+")
_OPTION_NAME = re.compile(r"password|passwd|secret|token|credential|signature|key", re.IGNORECASE)
_REFERENCE = re.compile(r"\$\{env:[A-Za-z_][A-Za-z0-9_]*\}")
_SECRET_NAME = re.compile(
    r"password|passwd|secret|token|authorization|credential|api_?key|access_key", re.IGNORECASE
)


def mask_text(text: str) -> str:
    """Return `text` with passwords in URIs and `password=…` pairs replaced by `***`.

    A password that is only named, as `${env:PGPASS}`, stays.
    """
    if "@" in text:
        text = _WORD.sub(_without_password, text)
    return _NAMED.sub(_masked, _OPTION.sub(_masked_option, text))


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


def _without_password(found: re.Match[str]) -> str:
    """Mask from the colon behind a user to the last @ of a word.

    An unescaped @ or / in a password must not give its tail away.
    """
    word = found[0]
    at = word.rfind("@")
    start = word.find(":/", 0, max(at, 0))
    while start >= 0:
        user = _USER.match(word, start + 2, at)
        if start > 0 and word[start - 1] in _SCHEME_END and user is not None:
            head, secret = word[: user.end()], word[user.end() : at]
            return head + (secret if _REFERENCE.fullmatch(secret) else MASK) + word[at:]
        start = word.find(":/", start + 2, at)
    return word


def _masked_option(found: re.Match[str]) -> str:
    return _masked(found) if _OPTION_NAME.search(found["name"]) else found[0]


def _masked(found: re.Match[str]) -> str:
    head = found["head"]
    secret = found[0][len(head) :]
    return head + (secret if _REFERENCE.fullmatch(secret) else MASK)
