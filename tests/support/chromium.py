"""A real Chromium, told what to do over a pipe (its DevTools protocol), without any driver."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
_FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--no-first-run",
    "--remote-debugging-pipe",
)


@dataclass
class Tab:
    """A tab of a Chromium.

    Attributes:
        complaints: errors of scripts, messages on the console, violations of the policy.
    """

    into: Any
    out: Any
    session: str = ""
    complaints: list[str] = field(default_factory=list)
    _number: int = 0

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Call a method of the protocol; what happens meanwhile is looked at for complaints."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        if self.session:
            message["sessionId"] = self.session
        self.into.write(json.dumps(message).encode() + b"\0")
        self.into.flush()
        while True:
            answer = self._next()
            if answer.get("id") == self._number:
                assert "error" not in answer, answer["error"]
                return dict(answer["result"])

    def until(self, event: str) -> None:
        """Wait for an event."""
        while self._next().get("method") != event:
            pass

    def show(self, path: Path, width: int = 1280, scheme: str = "light", medium: str = "") -> None:
        """Open a file as a screen of some width, or paper, shows it."""
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width, height=900, deviceScaleFactor=1, mobile=False,
        )  # fmt: skip
        scheme_is = [{"name": "prefers-color-scheme", "value": scheme}]
        self.call("Emulation.setEmulatedMedia", media=medium, features=scheme_is)
        self.call("Page.navigate", url=path.as_uri())
        self.until("Page.loadEventFired")

    def value(self, script: str) -> Any:
        """Return the value of an expression, or what its promise comes to."""
        done = self.call(
            "Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True
        )
        assert "exceptionDetails" not in done, done["exceptionDetails"]
        return done["result"].get("value")

    def _next(self) -> dict[str, Any]:
        told = bytearray()
        while (byte := self.out.read(1)) != b"\0":
            assert byte, "the browser has ended"
            told += byte
        message: dict[str, Any] = json.loads(told)
        if message.get("method") in (
            "Log.entryAdded", "Runtime.exceptionThrown", "Runtime.consoleAPICalled",
            "Page.javascriptDialogOpening", "Network.requestWillBeSent",
        ):  # fmt: skip
            self._complain(message["method"], message["params"])
        return message

    def _complain(self, method: str, parameters: dict[str, Any]) -> None:
        if method == "Network.requestWillBeSent":
            url = str(parameters["request"]["url"])
            if not url.startswith("file:"):
                self.complaints.append(f"asks for {url}")
            return
        self.complaints.append(f"{method}: {json.dumps(parameters)[:500]}")


@contextmanager
def chromium_tab(folder: Path, *, bypass_policy: bool = False) -> Iterator[Tab]:
    """Start a Chromium with a profile in a folder, and give a tab of it.

    Args:
        bypass_policy: scripts that a test brings may run beside those of the page.
    """
    assert CHROMIUM is not None
    to_read, ours_in = os.pipe()
    ours_out, to_write = os.pipe()
    command = [CHROMIUM, *_FLAGS, f"--user-data-dir={folder / 'profile'}", "about:blank"]
    with subprocess.Popen(
        ["bash", "-c", f'exec "$@" 3<&{to_read} 4>&{to_write}', "bash", *command],
        pass_fds=(to_read, to_write),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "HOME": str(folder), "XDG_CONFIG_HOME": str(folder)},
    ) as process:
        os.close(to_read)
        os.close(to_write)
        with os.fdopen(ours_in, "wb") as into, os.fdopen(ours_out, "rb") as out:
            tab = Tab(into, out)
            try:
                target = tab.call("Target.createTarget", url="about:blank")["targetId"]
                attached = tab.call("Target.attachToTarget", targetId=target, flatten=True)
                tab.session = attached["sessionId"]
                for domain in ("Page", "Runtime", "Log", "Network"):
                    tab.call(f"{domain}.enable")
                tab.call("Page.setBypassCSP", enabled=bypass_policy)
                yield tab
            finally:
                tab.session = ""
                with suppress(AssertionError, BrokenPipeError):
                    tab.call("Browser.close")
                process.wait(30)
