"""A headless Chromium driven over its debugging pipe: the keyboard, the page, what it asks for."""

import base64
import fcntl
import json
import os
import select
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--remote-debugging-pipe",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--disable-lcd-text",  # text in shades of one colour makes smaller pictures
    "--lang=en",
)
KEYS = {
    "Tab": (9, ""),
    "Enter": (13, "\r"),
    "Escape": (27, ""),
    "Space": (32, " "),
    "Delete": (46, ""),
    "Backspace": (8, ""),
}
# Chromium reads from descriptor 3 and writes to 4.
LAUNCH = (
    "import os, sys; os.dup2(int(sys.argv[1]), 3); os.dup2(int(sys.argv[2]), 4); "
    "os.execv(sys.argv[3], sys.argv[3:])"
)
SHIFT = 8  # of the protocol's modifiers
PATIENCE = 20.0  # seconds for what takes a fraction of one


class Page:
    """A tab with an empty profile of its own."""

    def __init__(self, requests: BinaryIO, replies: BinaryIO) -> None:
        self.events: list[dict[str, Any]] = []
        self._requests, self._replies = requests, replies
        self._session: str | None = None
        self._number, self._rest = 0, b""
        (target,) = (
            found["targetId"]
            for found in self.call("Target.getTargets")["targetInfos"]
            if found["type"] == "page"
        )
        attached = self.call("Target.attachToTarget", targetId=target, flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **params: Any) -> Any:
        """The result of one of the protocol's methods; events that come before it are kept."""
        self._number += 1
        message: dict[str, Any] = {"id": self._number, "method": method, "params": params}
        if self._session:
            message["sessionId"] = self._session
        self._requests.write(json.dumps(message).encode() + b"\0")
        self._requests.flush()
        while True:
            found = self._read()
            if found.get("id") == self._number:
                assert "error" not in found, f"{method}: {found['error']}"
                return found["result"]
            self.events.append(found)

    def _read(self) -> dict[str, Any]:
        while b"\0" not in self._rest:
            ready, _, _ = select.select([self._replies], [], [], PATIENCE)
            assert ready, f"the browser says nothing for {PATIENCE:.0f} s"
            part = os.read(self._replies.fileno(), 1 << 20)
            assert part, "the browser has ended"
            self._rest += part
        line, self._rest = self._rest.split(b"\0", 1)
        message: dict[str, Any] = json.loads(line)
        return message

    def open(self, address: str) -> None:
        """Go to an address and wait until the page is there with its script and style."""
        before = len(self.events)
        self.call("Page.navigate", url=address)
        while all(event.get("method") != "Page.loadEventFired" for event in self.events[before:]):
            self.events.append(self._read())

    def ask(self, expression: str) -> Any:
        """The value of a JavaScript expression."""
        found = self.call(
            "Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True
        )
        assert "exceptionDetails" not in found, f"{expression}: {found['exceptionDetails']}"
        return found["result"].get("value")

    def wait(self, expression: str) -> Any:
        """The value of a JavaScript expression as soon as it is true."""
        began = time.perf_counter()
        while time.perf_counter() - began < PATIENCE:
            if found := self.ask(expression):
                return found
            time.sleep(0.02)  # between two looks
        raise AssertionError(
            f"never became true: {expression}\n{self.ask('document.body.innerText')}"
        )

    def text(self, selector: str) -> str:
        """The text an element shows; empty when it is hidden or not there."""
        found: str = self.ask(
            f"[document.querySelector({json.dumps(selector)})]"
            ".map(found => found?.checkVisibility() ? found.innerText : '')[0]"
        )
        return found

    def press(self, key: str, modifiers: int = 0) -> None:
        """Press a key of the keyboard and let it go."""
        code, text = KEYS[key]
        name = " " if key == "Space" else key
        about = {"key": name, "code": key, "windowsVirtualKeyCode": code, "modifiers": modifiers}
        self.call("Input.dispatchKeyEvent", type="keyDown", text=text, **about)
        self.call("Input.dispatchKeyEvent", type="keyUp", **about)

    def type(self, text: str) -> None:
        """Type, character by character, over what is selected."""
        for character in text:
            self.call("Input.dispatchKeyEvent", type="keyDown", text=character, key=character)
            self.call("Input.dispatchKeyEvent", type="keyUp", key=character)

    def tab_to(self, name: str) -> None:
        """Press Tab until the element of this id, or the field labelled so, has the focus."""
        here = "[document.activeElement.id, document.activeElement.labels?.[0]?.firstChild.data]"
        for _ in range(300):
            if name in self.ask(here):
                return
            self.press("Tab")
        raise AssertionError(f"no Tab leads to {name!r}")

    def screen(self, width: int, height: int, dark: bool = False) -> None:
        """Set the size of the window and the colours preferred."""
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
        self.call("Emulation.setDeviceMetricsOverride", **metrics)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[scheme])

    def picture(self, path: Path, whole: bool = True) -> None:
        """Write the page, or what the window shows of it, as PNG."""
        found = self.call("Page.captureScreenshot", captureBeyondViewport=whole)
        path.write_bytes(base64.b64decode(found["data"]))

    def asked_for(self) -> list[str]:
        """Addresses of all requests so far."""
        return [
            event["params"]["request"]["url"] for event in self._seen("Network.requestWillBeSent")
        ]

    def complaints(self) -> list[str]:
        """What the console shows in red: exceptions, blocked content, failed requests."""
        found = [str(event["params"]) for event in self._seen("Runtime.exceptionThrown")]
        found += [
            f"{entry['text']} {entry.get('url', '')}"
            for entry in (event["params"]["entry"] for event in self._seen("Log.entryAdded"))
            if entry["level"] == "error"
        ]
        called = (event["params"] for event in self._seen("Runtime.consoleAPICalled"))
        return found + [str(call["args"]) for call in called if call["type"] == "error"]

    def _seen(self, method: str) -> list[dict[str, Any]]:
        self.ask("0")  # events that were sent before are read by then
        return [event for event in self.events if event.get("method") == method]

    def close(self) -> None:
        """Ask the browser to end."""
        self._session = None
        self.call("Browser.close")


@contextmanager
def browser(profile: Path) -> Iterator[Page]:
    """A page of a new browser, which is gone at the end; `profile` is a folder for it to fill."""
    assert CHROMIUM
    requests_read, requests_write = os.pipe()
    replies_read, replies_write = os.pipe()
    # Out of the way of 3 and 4.
    theirs = [fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, 10) for end in (requests_read, replies_write)]
    command = [CHROMIUM, *FLAGS, f"--user-data-dir={profile}", "about:blank"]
    process = subprocess.Popen(
        [sys.executable, "-c", LAUNCH, *map(str, theirs), *command],
        pass_fds=theirs,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    for end in (requests_read, replies_write, *theirs):
        os.close(end)
    with os.fdopen(requests_write, "wb") as requests, os.fdopen(replies_read, "rb") as replies:
        try:
            page = Page(requests, replies)
            yield page
            page.close()
            process.wait(PATIENCE)
        finally:
            process.kill()
            process.wait()
