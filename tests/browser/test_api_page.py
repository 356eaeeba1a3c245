"""The page at /docs in a real Chromium: calls are sent from it, watched and stopped."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.api import absolute_recipe
from tests.support.books import Books, make_books
from tests.support.chromium import CHROMIUM, Tab, chromium_tab
from tests.support.coordinators import coordinator_process

pytestmark = [
    pytest.mark.full,
    pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium here"),
]

TOKEN = "known-to-few"  # noqa: S105 - of a coordinator that ends with the test
PATIENCE_S = 60.0


@contextmanager
def page_of_api(folder: Path) -> Iterator[tuple[Tab, Books]]:
    books = make_books(folder)
    (folder / "tokens").write_text(f"submit,read {TOKEN}\n")
    with (
        coordinator_process(folder / "staging", "--token-file", f"{folder / 'tokens'}") as served,
        chromium_tab(folder) as tab,
    ):
        tab.call("Page.navigate", url=f"{served.url}/docs")
        tab.until("Page.loadEventFired")
        tab.value(f"document.getElementById('token').value = {json.dumps(TOKEN)}")
        yield tab, books
        own, advice = f"asks for {served.url}/", '"source": "recommendation"'
        assert [c for c in tab.complaints if not c.startswith(own) and advice not in c] == []


class Call:
    """A call of the page, as somebody fills it in."""

    def __init__(self, tab: Tab, method: str, path: str) -> None:
        self._tab = tab
        self._form = f"document.querySelector('form[data-method={method}][data-path=\"{path}\"]')"

    def send(self, **fields: str) -> None:
        self._tab.value(f"{self._form}.parentElement.open = true")
        for name, text in fields.items():
            self._tab.value(f"{self._form}.elements[{name!r}].value = {json.dumps(text)}")
        self._tab.value(f"{self._form}.requestSubmit()")

    def stop(self) -> None:
        self._tab.value(f"{self._form}.querySelector('.stop').click()")

    def shows(self, which: str, text: str) -> str:
        """Wait until a text is shown, and return all that is."""
        shown, until = "", time.monotonic() + PATIENCE_S
        while text not in shown and time.monotonic() < until:
            shown = self._tab.value(
                f"{self._form}.parentElement.querySelector('.{which}').textContent"
            )
        assert text in shown
        return shown


def test_a_job_is_submitted_watched_to_its_end_and_read(tmp_path: Path) -> None:
    with page_of_api(tmp_path) as (tab, books):
        submit = Call(tab, "POST", "/api/jobs")
        watch = Call(tab, "GET", "/api/jobs/{run_id}/events")
        rows = Call(tab, "GET", "/api/jobs/{run_id}/evidence/{set}")

        submit.send(body=json.dumps({"run_id": "typed", "recipe": absolute_recipe(books)}))
        submit.shows("answer", "202")
        watch.send(run_id="typed")
        watch.shows("answer", '"status":"succeeded"')
        rows.send(run_id="typed", set="matched")
        rows.shows("answer", "left_key")

        curl = submit.shows("curl", "curl -X POST")
        assert '-H "Authorization: Bearer $KALLA_TOKEN"' in curl
        assert TOKEN not in tab.value("document.body.innerText")


def test_events_are_shown_while_they_come_and_stopped(tmp_path: Path) -> None:
    with page_of_api(tmp_path) as (tab, books):
        recipe = {**absolute_recipe(books), "options": {"engine": "cluster"}}  # nobody is there
        submit = Call(tab, "POST", "/api/jobs")
        watch = Call(tab, "GET", "/api/jobs/{run_id}/events")
        submit.send(body=json.dumps({"run_id": "waits", "recipe": recipe}))
        submit.shows("answer", "202")

        watch.send(run_id="waits")
        watch.shows("answer", "event: job")
        watch.stop()

        assert "succeeded" not in watch.shows("answer", "Stopped.")


def test_without_its_token_a_call_is_answered_with_why(tmp_path: Path) -> None:
    with page_of_api(tmp_path) as (tab, _):
        tab.value("document.getElementById('token').value = ''")
        jobs = Call(tab, "GET", "/api/jobs")

        jobs.send()

        assert "401" in jobs.shows("answer", "unauthenticated")
        tab.complaints[:] = [one for one in tab.complaints if "401" not in one]
