from collections.abc import Callable
from typing import Any

import pytest

from {{ cookiecutter.__package }} import address
from {{ cookiecutter.__package }}.cli import Refusal


@pytest.fixture(autouse=True)
def unset(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HOST", "PORT", "WORKERS", "API_KEY"):
        monkeypatch.delenv(f"SERVE_{name}", raising=False)


def test_the_service_is_local_one_process_and_without_a_key_unless_told() -> None:
    assert address.service() == ("127.0.0.1", 8000)
    assert address.workers() == 1
    assert (address.api_key(), address.authorization()) == ("", {})


def test_the_environment_says_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("HOST", "::"), ("PORT", "65535"), ("WORKERS", "4"), ("API_KEY", "a.b-c=")):
        monkeypatch.setenv(f"SERVE_{name}", value)
    assert address.service() == ("::", 65535)
    assert address.workers() == 4
    assert address.authorization() == {"Authorization": "Bearer a.b-c="}


WRONG: list[tuple[str, str, Callable[[], Any]]] = [
    *[("PORT", value, address.service) for value in ("", "0", "65536", "-1", "http", "²")],
    *[("WORKERS", value, address.workers) for value in ("", "0", "65", "two", "²")],
    *[("API_KEY", value, address.api_key) for value in ("two words", "schlüssel", "a\nb", "a\tb")],
]


@pytest.mark.parametrize(("name", "value", "read"), WRONG)
def test_what_cannot_be_used_is_refused_by_name(
    name: str, value: str, read: Callable[[], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(f"SERVE_{name}", value)
    with pytest.raises(Refusal, match=f"SERVE_{name}"):
        read()


def test_a_key_is_not_told_when_it_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SERVE_API_KEY", "two words")
    with pytest.raises(Refusal) as refusal:
        address.api_key()
    assert "two words" not in str(refusal.value)
