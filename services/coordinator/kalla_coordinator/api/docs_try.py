"""What the page at /docs needs so that a call can be tried out on it; nothing from elsewhere."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator, Mapping
from html import escape
from typing import Any

HEADER = (
    "<p class=token><label>Token, for the calls that are tried out here: "
    "<input id=token type=password autocomplete=off></label></p>"
)


def try_form(method: str, path: str, call: Mapping[str, Any]) -> str:
    """Return the form that sends one call, filled in with its example."""
    return "\n".join(
        [
            "<details class=try><summary>Try it</summary>",
            f'<form data-method="{method}" data-path="{escape(path)}">',
            *_inputs(call.get("parameters", ())),
            *_accepted(call),
            *_body(call.get("requestBody")),
            "<button>Send</button> <button type=button class=stop disabled>Stop</button>",
            "</form><pre class=curl></pre><pre class=answer></pre></details>",
        ]
    )


def _inputs(parameters: Any) -> Iterator[str]:
    for one in parameters:
        need = "required" if one.get("required") else ""
        name = escape(one["name"])
        yield (
            f'<label>{name} <input name="{name}" data-in="{escape(one["in"])}" {need} '
            f'value="{escape(str(one.get("example", "")))}"></label>'
        )


def _accepted(call: Mapping[str, Any]) -> Iterator[str]:
    kinds = call["responses"].get("200", {}).get("content", {})
    if len(kinds) > 1:
        options = "".join(f"<option>{escape(kind)}</option>" for kind in kinds)
        yield f"<label>Accept <select name=accept>{options}</select></label>"


def _body(body: Mapping[str, Any] | None) -> Iterator[str]:
    if body is None:
        return
    examples = body["content"]["application/json"].get("examples", {})
    texts = {
        name: json.dumps(example["value"], indent=2, ensure_ascii=False)
        for name, example in examples.items()
    }
    if len(texts) > 1:
        options = "".join(
            f'<option value="{escape(text)}">{escape(name)}</option>'
            for name, text in texts.items()
        )
        yield f"<label>Example <select class=example>{options}</select></label>"
    first = next(iter(texts.values()), "{}")
    yield f"<textarea name=body rows={first.count(chr(10)) + 2}>{escape(first)}</textarea>"


SCRIPT = """
"use strict";
const token = () => document.getElementById("token").value.trim();
const quoted = text => "'" + text.replaceAll("'", "'\\\\''") + "'";

function requestOf(form) {
  let path = form.dataset.path;
  const query = new URLSearchParams();
  for (const field of form.querySelectorAll("input[data-in]")) {
    const value = field.value.trim();
    if (field.dataset.in === "path")
      path = path.replace("{" + field.name + "}", encodeURIComponent(value));
    else if (field.dataset.in === "query" && value) query.append(field.name, value);
  }
  const headers = {};
  if (token()) headers["Authorization"] = "Bearer " + token();
  const accept = form.elements.accept;
  if (accept) headers["Accept"] = accept.value;
  const body = form.elements.body ? form.elements.body.value : undefined;
  if (body !== undefined) headers["Content-Type"] = "application/json";
  const asked = query.toString();
  return { url: location.origin + path + (asked ? "?" + asked : ""), headers, body };
}

function curlOf(method, { url, headers, body }) {
  const shown = Object.entries(headers).map(([name, value]) =>
    "-H " + quoted(name + ": " + (name === "Authorization" ? "Bearer $KALLA_TOKEN" : value)));
  const data = body === undefined ? [] : ["-d " + quoted(body)];
  return ["curl -X " + method, ...shown, ...data, quoted(url)].join(" ")
    .replace("'Authorization: Bearer $KALLA_TOKEN'", '"Authorization: Bearer $KALLA_TOKEN"');
}

async function shown(answer, target) {
  const kind = answer.headers.get("Content-Type") || "";
  const head = answer.status + " " + answer.statusText + "\\n" + kind + "\\n\\n";
  target.textContent = head;
  if (kind.startsWith("application/json")) {
    const text = await answer.text();
    try { target.textContent = head + JSON.stringify(JSON.parse(text), null, 2); }
    catch { target.textContent = head + text; }
  } else if (kind.startsWith("text/")) {
    const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
    for (let piece; !(piece = await reader.read()).done; ) target.textContent += piece.value;
  } else {
    target.textContent = head + (await answer.arrayBuffer()).byteLength + " bytes";
  }
}

function unfold() {
  const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (target && target.tagName === "DETAILS") target.open = true;
}
addEventListener("hashchange", unfold);
unfold();

for (const form of document.querySelectorAll(".try form")) {
  const target = form.parentElement.querySelector(".answer");
  const stop = form.querySelector(".stop");
  const example = form.querySelector(".example");
  if (example) example.addEventListener("change", () => {
    form.elements.body.value = example.value;
  });
  form.addEventListener("submit", async event => {
    event.preventDefault();
    const { method } = form.dataset, request = requestOf(form), abort = new AbortController();
    form.parentElement.querySelector(".curl").textContent = curlOf(method, request);
    target.textContent = "…";
    stop.disabled = false;
    stop.onclick = () => abort.abort();
    try {
      const { headers, body } = request;
      const answer = await fetch(request.url, { method, headers, body, signal: abort.signal });
      await shown(answer, target);
    } catch (error) {
      target.textContent += "\\n" + (abort.signal.aborted ? "Stopped." : error);
    }
    stop.disabled = true;
  });
}
"""

_HASH = base64.b64encode(hashlib.sha256(SCRIPT.encode()).digest()).decode()

SECURITY_POLICY = (
    f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{_HASH}'; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""Of the page: its own script may talk to its own server, and that is all."""

STYLE = """
.try label { display: block; margin: .3rem 0 } .try textarea { width: 100%; box-sizing: border-box;
font: .85em ui-monospace, monospace } .try summary { cursor: pointer; font-weight: 600 }
.try { margin-top: .8rem } .try pre:empty { display: none } .try pre { white-space: pre-wrap;
overflow-wrap: anywhere; max-height: 30rem } .token { opacity: .9 }
@media (max-width: 44rem) { td { display: block; padding: 0 }
tr { display: block; margin: .5rem 0 } }
"""
