from pathlib import Path

import msgspec
import pytest
from fastapi.testclient import TestClient

from {{ cookiecutter.__package }} import files
from {{ cookiecutter.__package }}.serving.challenger import WAITING, Challenger

WAITS = Challenger(
    version=2,
    fingerprint="0123",
    since="2024-06-02T03:17:00+00:00",
    answered=1200,
    labelled=300,
    needed=5000,
    difference=0.125,
    numbers=False,
)


def test_the_model_s_facts_tell_of_a_challenger(client: TestClient, var: Path) -> None:
    assert client.get("/model").json()["challenger"] is None
    files.write_json(var / "monitoring" / WAITING, msgspec.to_builtins(WAITS))
    assert client.get("/model").json()["challenger"] == msgspec.to_builtins(WAITS)


@pytest.mark.parametrize("text", ["", "[]", '{"version": 2}'])
def test_a_broken_file_tells_of_none(text: str, client: TestClient, var: Path) -> None:
    (var / "monitoring").mkdir()
    (var / "monitoring" / WAITING).write_text(text)
    assert client.get("/model").json()["challenger"] is None


def test_its_sentence_tells_how_far_it_is_and_how_often_the_two_agree() -> None:
    said = "version 2 answers unseen since 2024-06-02T03:17:00+00:00: 1,200 rows, "
    assert str(WAITS) == f"{said}300 of 5,000 with a label; the champion's label in 87.5% of them"
    numbers = msgspec.structs.replace(WAITS, numbers=True)
    assert str(numbers).endswith("; 0.125 away from the champion on average")
    assert str(msgspec.structs.replace(WAITS, difference=None)).endswith("5,000 with a label")
