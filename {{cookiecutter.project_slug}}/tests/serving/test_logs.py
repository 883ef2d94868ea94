import json
import logging
import logging.config
import sys

import pytest

from {{ cookiecutter.__package }}.serving import logs


def line(*arguments: object, error: bool = False, **facts: object) -> str:
    try:
        if error:
            raise ValueError("bad\nluck")
        trouble = None
    except ValueError:
        trouble = sys.exc_info()
    made = logging.getLogger("x").makeRecord(
        "x", logging.WARNING, "file", 1, "so: %s", arguments, trouble, extra=facts
    )
    return logs.JsonFormatter().format(made)


def test_a_message_is_one_json_object_with_its_facts() -> None:
    found = json.loads(line('a "quote"\nand more', request="me", path="/x", status=400, other=1))
    assert found.pop("at") and found.pop("pid")
    assert found == {
        "level": "WARNING",
        "message": 'so: a "quote"\nand more',
        "request": "me",
        "path": "/x",
        "status": 400,
    }


def test_a_failure_comes_with_its_traceback_on_the_same_line() -> None:
    text = line(1, error=True)
    assert "\n" not in text
    assert json.loads(text)["error"].endswith("ValueError: bad\nluck")


@pytest.mark.parametrize("terminal", [True, False])
def test_a_terminal_gets_plain_lines_and_all_else_json(
    terminal: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: terminal, raising=False)
    found = logs.settings()
    logging.config.DictConfigurator(found)
    assert ("()" in found["formatters"]["line"]) is not terminal
