"""The page at /docs: the OpenAPI description for people, without anything from elsewhere.

Why it is none of the known viewers, tried in Chromium under the policy of this page: Swagger UI
5.35 (1.7 MB) shows nothing of a stream of events before its end, so a job cannot be watched, puts
the token into the `curl` it shows, and wants `data:` images; Scalar 1.46 (3.6 MB) asks a server of
its makers when it starts. This page shows events as they come, stops them, and keeps the token.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from html import escape
from typing import Any

from fastapi import APIRouter, FastAPI
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from kalla_coordinator.api.docs_try import (
    HEADER,
    SCRIPT,
    SECURITY_POLICY,
    STYLE,
    try_form,
)

_METHODS = ("get", "post", "put", "delete", "patch")


def docs_route(app: FastAPI) -> APIRouter:
    """Return the routes of the page and of the way to it."""
    routes = APIRouter(include_in_schema=False)

    @routes.get("/docs")
    async def docs() -> Response:
        headers = {"Content-Security-Policy": SECURITY_POLICY}
        return HTMLResponse(page(app.openapi()), headers=headers)

    @routes.get("/")
    async def root() -> Response:
        return RedirectResponse("/docs")

    return routes


def page(described: Mapping[str, Any]) -> str:
    """Return an OpenAPI description as one HTML page."""
    info = described["info"]
    calls = list(_calls(described))
    schemas = described["components"]["schemas"]
    return "\n".join(
        [
            "<!doctype html><html lang=en><meta charset=utf-8>",
            '<meta name=viewport content="width=device-width, initial-scale=1">',
            f"<title>{escape(info['title'])} API</title><style>{_STYLE}{STYLE}</style>",
            f"<main><h1>{escape(info['title'])} <small>{escape(info['version'])}</small></h1>",
            *(f"<p>{_inline(text)}</p>" for text in info["description"].strip().split("\n\n")),
            '<p>As a document: <a href="/openapi.json">/openapi.json</a></p>',
            HEADER,
            "<nav><table>",
            *(_index_row(*call) for call in calls),
            "</table></nav>",
            *(_call(*call) for call in calls),
            "<h2>Documents</h2>",
            *(_schema(name, schema) for name, schema in sorted(schemas.items())),
            f"</main><script>{SCRIPT}</script></html>",
        ]
    )


def _calls(described: Mapping[str, Any]) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    for path, methods in described["paths"].items():
        for method in _METHODS:
            if method in methods:
                yield method.upper(), path, methods[method]


def _anchor(method: str, path: str) -> str:
    return escape(f"{method}{path}".replace("/", "-"))


def _index_row(method: str, path: str, call: Mapping[str, Any]) -> str:
    first = call.get("description", call.get("summary", "")).split("\n")[0]
    link = f'<a href="#{_anchor(method, path)}"><code>{escape(path)}</code></a>'
    return f"<tr><td><b class={method}>{method}</b><td>{link}<td>{_inline(first)}"


def _call(method: str, path: str, call: Mapping[str, Any]) -> str:
    parts = [
        f"<section id='{_anchor(method, path)}'>",
        f"<h2><b class={method}>{method}</b> <code>{escape(path)}</code></h2>",
        *(f"<p>{_inline(text)}</p>" for text in call.get("description", "").split("\n\n")),
        *_parameters(call.get("parameters", ())),
        *_body(call.get("requestBody")),
        "<h3>Answers</h3><table>",
        *(
            f"<tr><td><code>{escape(status)}</code><td>{_inline(_told(one))}<td>{_content(one)}"
            for status, one in sorted(call["responses"].items())
        ),
        "</table>",
        try_form(method, path, call),
        "</section>",
    ]
    return "\n".join(parts)


def _told(answer: Mapping[str, Any]) -> str:
    text: str = answer.get("description", "")
    return "" if text == "Successful Response" else text  # as FastAPI says where nothing is said


def _parameters(parameters: Any) -> Iterator[str]:
    if parameters:
        yield "<h3>Parameters</h3><table>"
        for one in parameters:
            need = " (required)" if one.get("required") else ""
            yield (
                f"<tr><td><code>{escape(one['name'])}</code><td>in {escape(one['in'])}{need}"
                f"<td>{_in_words(one['schema'])}"
            )
        yield "</table>"


def _in_words(schema: Mapping[str, Any]) -> str:
    """Return what a parameter may be."""
    options = [one for one in schema.get("anyOf", [schema]) if one.get("type") != "null"]
    words = " or ".join(_links(one) or escape(str(one.get("type", ""))) for one in options)
    for one in options:
        if "enum" in one:
            words = ", ".join(f"<code>{escape(str(value))}</code>" for value in one["enum"])
        if "minimum" in one or "maximum" in one:
            words += f" from {one.get('minimum', '…')} to {one.get('maximum', '…')}"
        if "maxLength" in one:
            words += f" of at most {one['maxLength']} characters"
    default = schema.get("default")
    return words if default is None else f"{words}; {escape(str(default))} by default"


def _body(body: Mapping[str, Any] | None) -> Iterator[str]:
    if body is not None:
        content = body["content"]["application/json"]
        yield f"<h3>Body</h3><p>{_links(content['schema'])}</p>"
        for name, example in content.get("examples", {}).items():
            text = json.dumps(example["value"], indent=2, ensure_ascii=False)
            yield f"<p>For example, {escape(name)}:</p><pre>{escape(text)}</pre>"


def _content(answer: Mapping[str, Any]) -> str:
    kinds = answer.get("content", {})
    return ", ".join(
        f"<code>{escape(media)}</code> {_links(one.get('schema', {}))}"
        for media, one in kinds.items()
    )


def _links(schema: Mapping[str, Any]) -> str:
    options = schema.get("anyOf", [schema])
    names = [one["$ref"].rpartition("/")[2] for one in options if "$ref" in one]
    return " or ".join(f'<a href="#{escape(name)}">{escape(name)}</a>' for name in names)


def _schema(name: str, schema: Mapping[str, Any]) -> str:
    text = json.dumps(schema, indent=2, ensure_ascii=False)
    return (
        f"<details id='{escape(name)}'><summary><code>{escape(name)}</code> "
        f"{_inline(schema.get('description', ''))}</summary><pre>{escape(text)}</pre></details>"
    )


def _inline(text: str) -> str:
    """Return text with its `code` marked as such."""
    pieces = escape(text).split("`")
    return "".join(
        f"<code>{piece}</code>" if number % 2 else piece for number, piece in enumerate(pieces)
    )


_STYLE = """
:root { color-scheme: light dark }
body { font: 16px/1.5 system-ui, sans-serif; margin: 0 }
main { max-width: 62rem; margin: auto; padding: 1rem }
h1 small { font-weight: normal; opacity: .6 }
h2 { border-top: 1px solid #8885; padding-top: 1rem; margin-top: 2rem; font-size: 1.2rem }
h3 { font-size: 1rem; margin-bottom: .2rem }
table { border-collapse: collapse } td { padding: .15rem .8rem .15rem 0; vertical-align: top }
code, pre { font: .9em ui-monospace, monospace } pre { background: #8882; padding: .8rem;
overflow: auto; white-space: pre-wrap; border-radius: .4rem }
.GET { color: #0a7d4f } .POST { color: #b45309 }
"""
