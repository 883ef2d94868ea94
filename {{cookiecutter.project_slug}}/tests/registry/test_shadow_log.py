from pathlib import Path

import pytest

from {{ cookiecutter.__package }} import paths
from {{ cookiecutter.__package }}.monitoring import compact
from {{ cookiecutter.__package }}.registry import shadow
from {{ cookiecutter.__package }}.registry.shadow_labels import Labelled, pair
from {{ cookiecutter.__package }}.registry.store import Store
from {{ cookiecutter.__package }}.serving import bundle

from .. import customers, project
from ..monitoring import traffic
from .shadows import NEEDED, answered, arrive, ask, seen, state


def test_it_answers_what_the_champion_has_answered_each_row_once(shadowed: Path) -> None:
    names = [*ask(rows=100), *ask(rows=50, first=100)]
    traffic.write(traffic.line(customers.request(), 0.5, version=3, name="of another version"))
    assert shadow.follow() is None
    before = sorted(paths.SHADOW.rglob("*.parquet"))
    assert shadow.follow() is None
    assert sorted(paths.SHADOW.rglob("*.parquet")) == before
    names += ask(rows=30, first=150)
    assert shadow.follow() is None
    found = answered()
    assert [row[0] for row in found] == sorted(names)
    assert {row[4] for row in found} == {1}
    model = bundle.Model(project.bundle(2))
    numbers = {str(customers.request(number)["customer_id"]): number for number in range(180)}
    rows = [customers.request(numbers[key]) for _, key, *_ in found]
    expected = model.predict_columns({name: [row[name] for row in rows] for name in rows[0]})
    assert [row[3] for row in found] == pytest.approx(expected.tolist(), abs=1e-12)
    assert (seen().answered, seen().labelled, seen().needed) == (180, 0, NEEDED)


def test_a_log_that_grows_is_answered_further_and_one_that_is_packed_not_again(
    shadowed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def write(first: int, last: int) -> None:
        rows = [(customers.request(n), f"{n}") for n in range(first, last)]
        traffic.write(*(traffic.line(row, 0.5, name=name) for row, name in rows))

    write(0, 7)
    shadow.follow()
    write(7, 12)
    shadow.follow()
    monkeypatch.setattr(compact, "complete", lambda found: found)
    compact.predictions(paths.PREDICTIONS, "customer_id", "signed_up")
    assert not list(paths.PREDICTIONS.glob("*.jsonl"))
    shadow.follow()
    assert sorted(int(row[0]) for row in answered()) == list(range(12))
    assert [path.name for path in paths.SHADOW.rglob("*.done")] == ["2999-05-01.1-a.0.done"]


def test_the_log_is_answered_in_blocks_of_bounded_size(
    shadowed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("{{ cookiecutter.__package }}.registry.shadow_log.BLOCK", 40)
    ask(rows=100)
    shadow.follow()
    assert len(answered()) == 100
    assert len(list(paths.SHADOW.rglob("*.parquet"))) == 3


def test_labels_may_be_told_by_the_ids_of_the_answers(shadowed: Path, store: Store) -> None:
    names = ask()
    labels = customers.frame("2024-05")["churned"]
    known = [n for n in range(customers.ROWS) if labels[n] == labels[n]]
    for number in known[: NEEDED - 1]:
        traffic.told(names[number], int(labels[number]))
    assert shadow.follow() is None
    assert seen().labelled == NEEDED - 1
    traffic.told(names[known[NEEDED]], int(labels[known[NEEDED]]))
    assert shadow.follow()
    assert state(store)[0] == 2


def test_rows_that_a_model_has_been_trained_or_judged_on_prove_nothing(shadowed: Path) -> None:
    # both were trained on 2024-01 to 2024-03, and the challenger was judged on 2024-04
    for partition in ("2024-02", "2024-04"):
        for name in ask(partition):
            traffic.told(name, 1)
    assert shadow.follow() is None
    assert (seen().answered, seen().labelled) == (2 * customers.ROWS, 0)


def test_of_a_row_asked_for_twice_the_last_answer_counts(shadowed: Path) -> None:
    arrive()
    for _ in range(2):
        ask(rows=60)
    assert shadow.follow() is None
    assert seen().answered == 120
    assert seen().labelled == customers.frame("2024-05")["churned"][:60].notna().sum()


def test_rows_of_one_group_stay_together_and_others_stand_alone(shadowed: Path) -> None:
    rows = {"region": ["1", None]}
    labelled: list[Labelled] = [("a", 1, 0.5, 0.6, "x", 0.0), ("b", 0, 0.5, 0.6, "b", 1.0)]
    one = pair(labelled, rows, "region")
    assert one.groups is not None
    assert one.groups.tolist() == ["1", "(missing)"]
    other = pair(labelled, rows, "household")
    assert other.groups is not None
    assert other.groups.tolist() == ["x", "b"]
    assert pair(labelled, rows, None).groups is None
