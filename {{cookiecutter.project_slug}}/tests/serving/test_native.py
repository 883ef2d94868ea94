"""Models without an exact portable form: scikit-learn itself answers."""

import asyncio
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from threading import Event
from typing import Any

import joblib
import numpy as np
import pandas as pd
import pytest
from fastapi.testclient import TestClient

from {{ cookiecutter.__package }} import paths
from {{ cookiecutter.__package }}.registry.release import release
from {{ cookiecutter.__package }}.serving import native
from {{ cookiecutter.__package }}.serving.app import create_app
from {{ cookiecutter.__package }}.serving.bundle import BadBundle, Model
from {{ cookiecutter.__package }}.serving.native import Batcher

from .. import customers, project
from .conftest import LIMITS, logged
from .wire import ROW, connected, request

COLUMNS = list(customers.PARAMS["data"]["columns"])
EXTRA_TREES = {
    "name": "extra_trees",
    "encoding": "ordinal",
    "estimator": {
        "_target_": "sklearn.ensemble.ExtraTreesClassifier",
        "n_estimators": 10,
        "min_samples_leaf": 5,
        "random_state": 7,
    },
}


@pytest.fixture(scope="module")
def built(built_evaluated: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project whose champion has no portable form."""
    folder = project.copied(built_evaluated, tmp_path_factory.mktemp("native") / "project")
    with project.inside(folder):
        project.write_params(model=EXTRA_TREES)
        project.run("train", "evaluate")
        assert release()
    return folder


@pytest.fixture
def var(built: Path, tmp_path: Path) -> Path:
    return project.copied(built / "var/bundles", tmp_path / "var/bundles").parent


def expected(built: Path, rows: Sequence[dict[str, Any]]) -> Any:
    frame = pd.DataFrame(rows)[COLUMNS].astype(dict.fromkeys(customers.NUMERIC, float))
    frame = frame.astype(object).where(frame.notna(), None).astype(frame.dtypes.to_dict())
    return joblib.load(built / "models/model.joblib").predict_proba(frame)[:, 1]


def test_answers_are_scikit_learns(client: TestClient, built: Path) -> None:
    rows = [customers.request(number) for number in range(50)]
    answer = client.post("/predict", json=rows)
    assert answer.status_code == 200
    found = [x["probability"] for x in answer.json()["predictions"]]
    assert np.abs(found - expected(built, rows)).max() <= 1e-12
    one = client.post("/predict", json=rows[7]).json()["predictions"][0]
    assert one["probability"] == found[7]


@pytest.mark.parametrize(
    "change",
    [{"from": "moon"}, {"friend's plan": None}, {"annual income (€)": None}, {"region": ""}],
)
def test_unseen_and_missing_values_are_scikit_learns_too(
    change: dict[str, Any], client: TestClient, built: Path
) -> None:
    rows = [customers.request(number) | change for number in range(50)]
    answers = client.post("/predict", json=rows).json()["predictions"]
    found = [x["probability"] for x in answers]
    assert np.abs(found - expected(built, rows)).max() <= 1e-12
    unseen = [name for name, value in change.items() if value is not None]
    assert all(x["unseen"] == unseen for x in answers)


def test_answers_are_logged_like_all(client: TestClient, var: Path) -> None:
    body = client.post("/predict", json=[ROW, ROW], headers={"X-Request-Id": "me"}).json()
    lines = logged(var)
    assert [line["id"] for line in lines] == [x["id"] for x in body["predictions"]]
    assert [line["row"] for line in lines] == [ROW, ROW]
    assert {line["request"] for line in lines} == {"me"}


def test_a_single_row_takes_the_long_way(var: Path) -> None:
    front = create_app(var, LIMITS)
    front.service.champion.refresh()
    with connected(front) as wire:
        wire.feed(request())
        for _ in range(200):
            wire.wait(0.01)
            if wire.answers():
                break
        assert [answer.status for answer in wire.answers()] == [200]
        assert wire.short == 0


def test_its_explanation_adds_up_and_is_the_same_each_time(client: TestClient) -> None:
    one, other = (
        client.post("/predict?explain=true", json=[ROW]).json()["predictions"][0] for _ in range(2)
    )
    found = one["explanation"]
    assert found == other["explanation"]
    assert (found["unit"], found["method"]) == ("probability", "sampled_shapley")
    assert set(found["contributions"]) == set(COLUMNS)
    total = found["base"] + sum(found["contributions"].values())
    assert total == pytest.approx(one["probability"], abs=1e-12)


def test_an_environment_without_scikit_learn_refuses_the_bundle_and_says_what_is_missing(
    var: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "skops.io", None)
    (folder,) = var.glob("bundles/v1-*")
    with pytest.raises(BadBundle, match=r"install locks/serve-native\.txt"):
        Model(folder)


def test_a_file_of_types_that_are_not_trusted_is_refused(var: Path) -> None:
    from skops.io import dump

    (folder,) = var.glob("bundles/v1-*")
    trusted = Model(folder).manifest.meta["trusted"]
    dump(Trap(), folder / native.MODEL)
    with pytest.raises(Exception, match="Trap"):
        native.Native(folder / native.MODEL, trusted, {})
    assert not Trap.sprung


class Trap:
    """What must not be made by loading a file."""

    sprung = False

    def __setstate__(self, state: Any) -> None:
        Trap.sprung = True


class Slow:
    """A model that answers when told to, and keeps what it was asked."""

    def __init__(self) -> None:
        self.asked: list[list[int]] = []
        self.go = Event()

    def predict(self, rows: Sequence[int]) -> tuple[list[float], list[list[str]]]:
        self.asked.append(list(rows))
        assert self.go.wait(10)
        if 13 in rows:
            raise ValueError("thirteen")
        return [row / 10 for row in rows], [[str(row)] for row in rows]


Asked = Callable[[Any, list[int]], "asyncio.Task[Any]"]


def batched(scenario: Callable[[Slow, Asked], Any]) -> Slow:
    """Run a scenario with a model that is busy with the row 0."""
    model = Slow()

    async def run() -> None:
        batcher = Batcher()

        def ask(model: Any, rows: list[int]) -> "asyncio.Task[Any]":
            return asyncio.create_task(batcher.predict(model, rows))

        first = ask(model, [0])
        while not model.asked:
            await asyncio.sleep(0.001)
        await scenario(model, ask)
        assert await first == ([0.0], [["0"]])

    asyncio.run(asyncio.wait_for(run(), 20))
    return model


def test_requests_that_come_while_the_model_is_busy_are_answered_in_one_call() -> None:
    async def scenario(model: Slow, ask: Asked) -> None:
        tasks = [ask(model, [1]), ask(model, [2, 3]), ask(model, [4])]
        await asyncio.sleep(0)
        model.go.set()
        assert await asyncio.gather(*tasks) == [
            ([0.1], [["1"]]),
            ([0.2, 0.3], [["2"], ["3"]]),
            ([0.4], [["4"]]),
        ]

    assert batched(scenario).asked == [[0], [1, 2, 3, 4]]


def test_a_call_holds_a_limited_number_of_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(native, "MOST", 3)

    async def scenario(model: Slow, ask: Asked) -> None:
        tasks = [ask(model, [1, 2]), ask(model, [3]), ask(model, [4]), ask(model, [5, 6, 7, 8])]
        await asyncio.sleep(0)
        model.go.set()
        await asyncio.gather(*tasks)

    assert batched(scenario).asked == [[0], [1, 2, 3], [4], [5, 6, 7, 8]]


def test_rows_of_two_models_are_never_mixed() -> None:
    other = Slow()
    other.go.set()

    async def scenario(model: Slow, ask: Asked) -> None:
        tasks = [ask(model, [1]), ask(other, [2]), ask(other, [3]), ask(model, [4])]
        await asyncio.sleep(0)
        model.go.set()
        await asyncio.gather(*tasks)

    assert batched(scenario).asked == [[0], [1], [4]]
    assert other.asked == [[2, 3]]


def test_a_failure_reaches_the_caller_whose_rows_fail_and_no_other() -> None:
    async def scenario(model: Slow, ask: Asked) -> None:
        tasks = [ask(model, [1]), ask(model, [2, 13]), ask(model, [3])]
        await asyncio.sleep(0)
        model.go.set()
        one, two, three = await asyncio.gather(*tasks, return_exceptions=True)
        assert (one, three) == (([0.1], [["1"]]), ([0.3], [["3"]]))
        assert str(two) == "thirteen"
        assert await ask(model, [5]) == ([0.5], [["5"]])

    assert batched(scenario).asked == [[0], [1, 2, 13, 3], [1], [2, 13], [3], [5]]


def test_a_caller_who_is_gone_does_not_disturb_the_others() -> None:
    async def scenario(model: Slow, ask: Asked) -> None:
        tasks = [ask(model, [number]) for number in (1, 2, 3)]
        await asyncio.sleep(0)
        tasks[1].cancel()
        await asyncio.sleep(0)
        model.go.set()
        one, two, three = await asyncio.gather(*tasks, return_exceptions=True)
        assert (one, three) == (([0.1], [["1"]]), ([0.3], [["3"]]))
        assert isinstance(two, asyncio.CancelledError)

    batched(scenario)


def test_the_manifest_says_why_and_that_scikit_learn_answers(var: Path) -> None:
    (folder,) = var.glob("bundles/v1-*")
    manifest = Model(folder).manifest
    assert (manifest.form, manifest.meta["reason"]) == ("native", "ExtraTreesClassifier")
    assert native.MODEL in manifest.files
    assert paths.MODEL.name not in manifest.files
