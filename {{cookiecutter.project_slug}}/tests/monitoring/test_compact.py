from pathlib import Path

import duckdb
import pandas as pd
import pytest

from {{ cookiecutter.__package }} import paths
from {{ cookiecutter.__package }}.monitoring import compact, layout
from {{ cookiecutter.__package }}.monitoring.traffic import Traffic

from .. import customers
from . import traffic
from .traffic import line, told, write

ROW = customers.request(1)
OLD = "2024-05-01.1-a"


def names() -> list[str]:
    return sorted(path.name for path in paths.PREDICTIONS.iterdir())


def pack() -> None:
    compact.predictions(paths.PREDICTIONS, "customer_id", "signed_up")


def seen() -> Traffic:
    return Traffic(traffic.model(), 30)


def sampled(found: Traffic) -> pd.DataFrame:
    rows = found.sample(100, 1, "prediction")
    return rows.sort_values("prediction", ignore_index=True)


def test_files_of_earlier_days_and_full_ones_become_parquet(released: Path) -> None:
    for name in (f"{OLD}.0", "2999-05-01.7-b.0", "2999-05-01.7-b.1", "2999-05-01.8-c.0"):
        write(line(ROW, 0.5), name=name)
    pack()
    assert names() == [
        f"{OLD}.0.packed.parquet",
        "2999-05-01.7-b.0.packed.parquet",
        "2999-05-01.7-b.1.jsonl",
        "2999-05-01.8-c.0.jsonl",
    ]


def test_the_monitor_sees_the_same_traffic_before_and_after(
    released: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(*(line(ROW | {"age": n}, n / 100, name=str(n)) for n in range(50)), name=f"{OLD}.0")
    write(line(ROW, 0.9), line(ROW, 0.8)[:-30])
    told("7", 1)
    with monkeypatch.context() as patch:
        patch.setattr(compact, "_pack", lambda *_: None)
        before = seen()
        facts = before.count(), before.torn, before.repeated(), before.labelled()
        rows = sampled(before)
    assert not compact.packed(paths.PREDICTIONS)
    after = seen()
    assert (after.count(), after.torn, after.repeated(), after.labelled()) == facts
    assert facts[:2] == (51, 1)
    assert facts[3] == [(1, 0.07)]
    assert sampled(after).equals(rows)
    assert names() == [f"{OLD}.0.packed.parquet", "2999-05-01.1-a.0.jsonl"]


@pytest.mark.parametrize("interrupted", ["before the rename", "before the removal"])
def test_an_interruption_loses_nothing_and_doubles_nothing(
    released: Path, monkeypatch: pytest.MonkeyPatch, interrupted: str
) -> None:
    write(line(ROW, 0.1), line(ROW, 0.2), name=f"{OLD}.0")
    method = "replace" if interrupted == "before the rename" else "unlink"

    def die(path: Path, *_: object, missing_ok: bool = False) -> None:
        if path.suffix == ".jsonl" or method == "replace":
            raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Path, method, die)
        pack()
    with monkeypatch.context() as patch:
        patch.setattr(compact, "_pack", lambda *_: None)
        assert seen().count() == 2
    pack()
    assert names() == [f"{OLD}.0.packed.parquet"]
    assert seen().count() == 2


def test_files_of_other_names_are_left_alone(released: Path) -> None:
    write(line(ROW, 0.1), name="notes")
    pack()
    assert names() == ["notes.jsonl"]
    assert seen().count() == 1


def test_what_was_packed_by_an_earlier_version_is_packed_anew(released: Path) -> None:
    write(line(ROW, 0.1), line(ROW | {"customer_id": "7"}, 0.2), name=f"{OLD}.0")
    plain = paths.PREDICTIONS / f"{OLD}.0.jsonl"
    source = layout.lines(layout.PREDICTIONS, [plain])
    with duckdb.connect() as connection:
        connection.execute(f"COPY (FROM {source}) TO '{plain.with_suffix('.parquet')}'")
    plain.unlink()
    found = seen()
    assert (found.count(), list(sampled(found)["prediction"])) == (2, [0.1, 0.2])
    assert names() == [f"{OLD}.0.packed.parquet"]


def test_the_feedback_is_packed_too(released: Path) -> None:
    write(line(ROW, 0.1, name="a"), line(ROW | {"customer_id": "7"}, 0.2, name="b"))
    told("a", 1)
    (paths.FEEDBACK / "2999-05-01.1-a.0.jsonl").rename(paths.FEEDBACK / f"{OLD}.0.jsonl")
    told("b", 0)
    assert seen().labelled() == [(1, 0.1), (0, 0.2)]
    found = sorted(path.name for path in paths.FEEDBACK.iterdir())
    assert found == [f"{OLD}.0.packed.parquet", "2999-05-01.1-a.0.jsonl"]
