"""Names and values as SQL text."""

from __future__ import annotations


def identifier(name: str) -> str:
    """Return a name in double quotes."""
    return '"' + name.replace('"', '""') + '"'


def qualified(schema: str, name: str) -> str:
    """Return the full name of a relation."""
    return f"{identifier(schema)}.{identifier(name)}"


def literal(text: str) -> str:
    """Return text as a literal, whatever `standard_conforming_strings` says."""
    quoted = "'" + text.replace("'", "''") + "'"
    return "E" + quoted.replace("\\", "\\\\") if "\\" in text else quoted


def literals(texts: tuple[str, ...]) -> str:
    """Return several literals, for IN."""
    return ", ".join(literal(text) for text in texts)
