"""The alert hook, with commands that do everything that a command can do wrong."""

import json
import re
import shutil
import threading
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import msgspec
import pytest
from omegaconf import OmegaConf

from {{ cookiecutter.__package }} import alerts, files, paths
from {{ cookiecutter.__package }}.cli import Refusal
from {{ cookiecutter.__package }}.monitoring.summary import Summary

from . import project
from .test_triggers import seen

ALL = ["drift", "degraded", "schema_error", "promoted", "refused", "failed", "held_back"]
KEEP = 'cat >>told; echo "$ALERT_EVENT|$ALERT_TEXT" >>texts'
Hook = Callable[..., None]
needs_curl = pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")


@pytest.fixture
def hook(empty: Path) -> Hook:
    """Call it to set the command, in an empty project."""

    def set_(command: str | None = KEEP, events: list[str] = ALL, seconds: float = 10) -> None:
        settings = {"command": command, "events": events, "timeout_seconds": seconds}
        project.write_params(alerts=settings)

    set_()
    return set_


def told() -> list[dict[str, Any]]:
    """What the hook has been told, without a trace of it left."""
    found = files.read_lines(Path("told"))
    Path("told").unlink(missing_ok=True)
    return found


def summary(**changes: Any) -> Summary:
    return msgspec.structs.replace(seen("drift"), drift={"age": 0.4}, **changes)


def test_the_hook_gets_the_event_as_json_and_its_text(hook: Hook) -> None:
    assert alerts.tell("promoted", "better  by\nfar", {"gain": 0.1, "at": Path("x")}, 3) == ""
    (event,) = told()
    assert datetime.fromisoformat(event.pop("at")).tzinfo
    text = "customers: promoted, version 3: better by far"
    assert event == {
        "event": "promoted",
        "project": "customers",
        "version": 3,
        "reason": "better by far",
        "text": text,
        "details": {"gain": 0.1, "at": "x"},
    }
    assert Path("texts").read_text() == f"promoted|{text}\n"


@pytest.mark.parametrize("settings", [{"command": None}, {"events": ["failed"]}])
def test_without_a_command_or_for_another_event_nobody_is_told(
    hook: Hook, settings: dict[str, Any]
) -> None:
    hook(**settings)
    assert alerts.tell("promoted", "better", {}) is None
    assert told() == []


def test_a_project_from_before_the_alerts_has_none(hook: Hook) -> None:
    params = files.read_json(paths.PARAMS)
    del params["alerts"]
    files.write_json(paths.PARAMS, params)
    assert alerts.tell("promoted", "better", {}) is None


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("no-such-command", "exit code 127: .*no-such-command"),
        ("echo first >&2; echo the last >&2; exit 3", "exit code 3: the last"),
        ("exit 4", "exit code 4$"),
        ("printf '\\377\\000\\033[2J\\n' >&2; exit 5", "exit code 5: "),
        ("kill -9 $$", "exit code -9"),
        ("cat <", "exit code 2: "),
        ("sleep 600", "it took longer than 0.5 s"),
        ("trap '' TERM INT; sleep 600 & wait", "it took longer than 0.5 s"),
        ("yes >&2", "it took longer than 0.5 s"),
        ("yes", "it took longer than 0.5 s"),
    ],
)
def test_a_command_that_fails_is_told_of_in_one_line_and_harms_nothing(
    command: str, said: str, hook: Hook, capsys: pytest.CaptureFixture[str]
) -> None:
    hook(command, seconds=0.5 if "longer" in said else 10)
    trouble = alerts.tell("failed", "the disk is full", {"long": "x" * 1_000_000})
    assert trouble
    printed = capsys.readouterr().out
    assert printed == f"nobody was told of failed, the alert's command failed: {trouble}\n"
    assert printed[:-1].isprintable()
    assert re.search(said, trouble), trouble


@pytest.mark.parametrize("command", ["true", "exec <&-", "head -c 1 >/dev/null", "sleep 9 & true"])
def test_a_command_that_does_not_listen_is_no_failure(command: str, hook: Hook) -> None:
    hook(command)
    assert alerts.tell("failed", "much to say", {"long": "x" * 1_000_000}) == ""


def test_what_a_hook_that_hangs_has_started_is_ended_with_it(hook: Hook, empty: Path) -> None:
    hook("(sleep 1; touch late) & sleep 600", seconds=0.3)
    assert alerts.tell("failed", "", {})
    hook("sleep 2", seconds=10)
    assert alerts.tell("failed", "", {}) == ""
    assert not (empty / "late").exists()


def test_awkward_words_reach_the_hook(hook: Hook) -> None:
    reason = 'it\'s "100 %" of $PATH `id`; \udcff \0 für 你 ' + "x" * 5000
    assert alerts.tell("failed", reason, {"error": reason}) == ""
    (event,) = told()
    assert event["reason"].startswith('it\'s "100 %" of $PATH `id`; ? ')
    assert len(event["reason"]) == alerts.LONGEST
    assert event["details"]["error"] == reason


def test_a_broken_configuration_does_not_end_the_run(
    hook: Hook, capsys: pytest.CaptureFixture[str]
) -> None:
    for text in ("{", "[]", '{"alerts": {"comand": "x"}}'):
        paths.PARAMS.write_text(text)
        assert alerts.tell("failed", "", {})
    paths.PARAMS.unlink()
    assert alerts.tell("failed", "", {})
    assert capsys.readouterr().out.count("\n") == 4


def test_the_same_drift_is_told_once(hook: Hook) -> None:
    assert alerts.monitored(summary()) == ""
    (event,) = told()
    assert (event["event"], event["version"], event["reason"]) == ("drift", 1, "all has moved")
    assert event["details"]["drift"] == {"age": 0.4}
    assert alerts.monitored(summary(reason="a bit more")) is None
    assert told() == []


@pytest.mark.parametrize(
    "change",
    [
        {"status": "degraded"},
        {"version": 2},
        {"drift": {"age": 0.4, "from": 0.2}},
        {"broken": {"from": "100% of rows hold values never seen"}},
        {"at": (datetime.fromisoformat(summary().at) + timedelta(days=7)).isoformat()},
    ],
    ids=lambda change: next(iter(change)),
)
def test_what_is_new_about_it_is_told(hook: Hook, change: dict[str, Any]) -> None:
    alerts.monitored(summary())
    told()
    changed = msgspec.structs.replace(summary(), **change)
    assert alerts.monitored(changed) == ""
    assert len(told()) == 1
    assert alerts.monitored(changed) is None
    assert told() == []


def test_a_column_that_comes_and_goes_is_told_once(hook: Hook) -> None:
    for names in (["age"], ["from"], ["age"], [], ["from", "age"]):
        alerts.monitored(msgspec.structs.replace(summary(), drift=dict.fromkeys(names, 0.4)))
    assert [list(event["details"]["drift"]) for event in told()] == [["age"], ["from"]]


def test_after_a_time_without_drift_it_is_news_again(hook: Hook) -> None:
    alerts.monitored(summary())
    assert alerts.monitored(summary(status="insufficient_data")) is None
    assert alerts.monitored(summary()) is None
    assert alerts.monitored(summary(status="ok")) is None
    assert len(told()) == 1
    assert alerts.monitored(summary()) == ""


def test_what_nobody_was_told_of_is_tried_again(hook: Hook) -> None:
    hook("exit 1")
    assert alerts.monitored(summary()) == "exit code 1"
    hook()
    assert alerts.monitored(summary()) == ""


def test_a_file_of_what_was_told_that_is_broken_costs_one_repetition(hook: Hook) -> None:
    alerts.monitored(summary())
    (paths.MONITORING / alerts.TOLD).write_text("{")
    assert alerts.monitored(summary()) == ""
    assert alerts.monitored(summary()) is None


@pytest.mark.parametrize(
    ("entry", "reason"),
    [
        ({"outcome": "failed", "error": "no disk"}, "no disk"),
        ({"outcome": "held_back", "why_not": "held back until noon"}, "held back until noon"),
        ({"outcome": "promoted", "decision": {"reason": "better", "version": 7}}, "better"),
        ({"outcome": "refused", "decision": {"reason": "worse", "version": None}}, "worse"),
    ],
)
def test_the_end_of_a_run_is_told_with_its_reason(
    hook: Hook, entry: dict[str, Any], reason: str
) -> None:
    entry["reasons"] = ["new data: 2024-05"]
    assert alerts.ended(entry, "") == ""
    (event,) = told()
    assert (event["event"], event["reason"], event["details"]) == (entry["outcome"], reason, entry)
    assert event["version"] == entry.get("decision", {}).get("version")


def test_the_end_of_a_run_that_did_nothing_is_not_told_nor_that_one_still_waits(hook: Hook) -> None:
    assert alerts.ended({"outcome": "nothing_to_do", "reasons": []}, "") is None
    held = {"outcome": "held_back", "why_not": "until noon", "reasons": []}
    assert alerts.ended(held, "held_back") is None
    failed = {"outcome": "failed", "error": "no disk", "reasons": []}
    assert alerts.ended(failed, "failed") == ""


def test_the_command_tries_the_hook(
    hook: Hook, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert alerts.main() == 0
    assert [event["event"] for event in told()] == ["test"]
    hook("exit 9")
    assert alerts.main() == 1
    assert "exit code 9" in capsys.readouterr().out
    hook(None)
    with pytest.raises(Refusal, match="names no command"):
        alerts.main()


class Slack(BaseHTTPRequestHandler):
    """Takes messages as Slack's web hooks do: JSON with a `text`."""

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.got.append((self.path, self.headers["Content-Type"], body))  # type: ignore
        accepted = bool(json.loads(body).get("text"))
        self.send_response(200 if accepted else 400)
        self.end_headers()
        self.wfile.write(b"ok" if accepted else b"no_text")

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def slack() -> Iterator[HTTPServer]:
    server = HTTPServer(("127.0.0.1", 0), Slack)
    server.got = []  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@needs_curl
def test_the_documented_command_sends_to_slack(
    hook: Hook, slack: HTTPServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = (project.ROOT / "docs/schedules.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```yaml\n(command: .*?)^```", text, re.MULTILINE | re.DOTALL)
    (command,) = [block for block in blocks if "curl" in block]
    hook(OmegaConf.create(command)["command"])
    address = f"http://127.0.0.1:{slack.server_port}/services/a/secret"
    monkeypatch.setenv("ALERT_URL", address)
    assert alerts.tell("drift", 'age has "moved"', {}, 1) == ""
    ((path, type_, body),) = slack.got  # type: ignore[attr-defined]
    assert (path, type_) == ("/services/a/secret", "application/json")
    assert json.loads(body)["text"] == 'customers: drift, version 1: age has "moved"'
    slack.shutdown()
    slack.server_close()
    trouble = alerts.tell("drift", "", {})
    assert trouble
    assert "secret" not in trouble
