"""Names and texts in statements for MySQL."""

from __future__ import annotations


def quoted(name: str) -> str:
    """Return a name in backticks."""
    return "`" + name.replace("`", "``") + "`"


def literal(text: str) -> str:
    """Return a text as a literal that no setting of the server reads otherwise."""
    return f"CONVERT(X'{text.encode().hex()}' USING utf8mb4)" if text else "''"
