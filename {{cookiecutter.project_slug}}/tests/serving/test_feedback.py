import json
import shutil
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from {{ cookiecutter.__package }}.serving.front import Front

from .conftest import logged
from .wire import ROW

ID = "0123456789abcdef" * 2 + "-0"


def test_the_label_of_an_answer_is_written_down_under_its_id(client: TestClient, var: Path) -> None:
    (prediction,) = client.post("/predict", json=ROW).json()["predictions"]
    answer = client.post("/feedback", json={"id": prediction["id"], "label": 1})
    assert (answer.status_code, answer.json()) == (200, {"accepted": 1})
    (line,) = logged(var, "feedback")
    assert (line["id"], line["label"]) == (prediction["id"], 1)
    age = datetime.now(UTC) - datetime.fromisoformat(line["at"])
    assert 0 <= age.total_seconds() < 60
    assert len(logged(var)) == 1


def test_labels_may_come_in_a_list(client: TestClient, var: Path) -> None:
    truths = [{"id": ID + str(number), "label": number % 2} for number in range(50)]
    assert client.post("/feedback", json=truths).json() == {"accepted": 50}
    lines = logged(var, "feedback")
    assert [{"id": line["id"], "label": line["label"]} for line in lines] == truths


REFUSED: list[tuple[Any, int, str, str | None]] = [
    ({"id": ID}, 400, "field `label` is missing", "label"),
    ({"id": ID, "label": 2}, 400, "field `label`: Invalid enum value 2", "label"),
    ({"id": ID, "label": "1"}, 400, "field `label`: Expected `int`", "label"),
    ({"id": ID, "label": True}, 400, "field `label`: Expected `int`", "label"),
    ({"id": ID[:-1], "label": 1}, 400, "field `id`: Expected `str` matching", "id"),
    ({"id": ID + "/../x", "label": 1}, 400, "field `id`: Expected `str` matching", "id"),
    ({"id": ID, "label": 1, "at": 0}, 400, "field `at` is unknown", "at"),
    ([{"id": ID, "label": 1}, {"id": ID}], 400, "field `label` is missing", "[1].label"),
    ([], 400, "the list of rows is empty", None),
    ([{"id": ID, "label": 1}] * 51, 413, "51 rows; at most 50", None),
    (7, 400, "the body: Expected", None),
]


@pytest.mark.parametrize(("body", "status", "said", "field"), REFUSED)
def test_what_is_no_label_is_refused_and_nothing_is_written(
    body: Any, status: int, said: str, field: str | None, client: TestClient, var: Path
) -> None:
    answer = client.post("/feedback", json=body)
    found = answer.json()
    assert (answer.status_code, found["field"]) == (status, field)
    assert found["error"].startswith(said)
    assert logged(var, "feedback") == []


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b"[" * 10_000])
def test_what_is_no_json_is_refused(body: bytes, client: TestClient) -> None:
    assert client.post("/feedback", content=body).status_code == 400


@pytest.mark.parametrize("policy", ["fail_closed", "fail_open"])
def test_a_label_that_cannot_be_written_is_never_accepted(
    policy: str, serve: Callable[..., Front]
) -> None:
    front = serve(on_log_failure=policy)
    folder = front.service.var / "feedback"
    shutil.rmtree(folder)
    folder.touch()
    answer = TestClient(front).post("/feedback", content=json.dumps({"id": ID, "label": 1}))
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
    assert answer.json()["error"].startswith("the feedback could not be written")
