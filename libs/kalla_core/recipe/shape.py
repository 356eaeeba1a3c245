"""Which fields a document may have where, from the models that define it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from pydantic import BaseModel

Node = Mapping[str, Any]


def fields_at(model: type[BaseModel], location: Sequence[str | int]) -> tuple[str, ...]:
    """Return the names of the fields that may stand at a place; none where it is no object."""
    node = node_at(model, location)
    return () if node is None else tuple(node.get("properties", ()))


def node_at(model: type[BaseModel], location: Sequence[str | int]) -> Node | None:
    """Return the JSON Schema of a place; None where nothing may stand."""
    root = _schema(model)
    node: Node | None = root
    for step in location:
        node = None if node is None else _into(root, node, step)
    return node


@cache
def _schema(model: type[BaseModel]) -> Node:
    return model.model_json_schema(by_alias=True)


def _into(root: Node, node: Node, step: str | int) -> Node | None:
    if isinstance(step, int):
        inner = node.get("items")
    else:
        inner = node.get("properties", {}).get(step, node.get("additionalProperties"))
    return _resolved(root, inner) if isinstance(inner, Mapping) else None


def _resolved(root: Node, node: Node) -> Node:
    """Follow a reference, and an optional value to what it is when it is there."""
    choices = [choice for choice in node.get("anyOf", ()) if choice.get("type") != "null"]
    if choices:
        return _resolved(root, choices[0])
    reference = node.get("$ref")
    if reference is None:
        return node
    return _resolved(root, root["$defs"][reference.rpartition("/")[2]])
