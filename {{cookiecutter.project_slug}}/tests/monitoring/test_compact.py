from pathlib import Path

import pandas as pd
import pytest

from {{ cookiecutter.__package }} import paths
from {{ cookiecutter.__package }}.monitoring.compact import compact
from {{ cookiecutter.__package }}.monitoring.traffic import Traffic

from .. import customers
from . import traffic
from .traffic import line, write

ROW = customers.request(1)
OLD = "2024-05-01.1-a"


def names() -> list[str]:
    return sorted(path.name for path in paths.PREDICTIONS.iterdir())


def seen() -> Traffic:
    return Traffic(traffic.model(), 30)


def sampled(found: Traffic) -> pd.DataFrame:
    rows = found.sample(100, 1, "prediction")
    return rows.sort_values("prediction", ignore_index=True)


def test_files_of_earlier_days_and_full_ones_become_parquet(released: Path) -> None:
    for name in (f"{OLD}.0", "2999-05-01.7-b.0", "2999-05-01.7-b.1", "2999-05-01.8-c.0"):
        write(line(ROW, 0.5), name=name)
    compact(paths.PREDICTIONS)
    assert names() == [
        f"{OLD}.0.parquet",
        "2999-05-01.7-b.0.parquet",
        "2999-05-01.7-b.1.jsonl",
        "2999-05-01.8-c.0.jsonl",
    ]


def test_the_monitor_sees_the_same_traffic_before_and_after(released: Path) -> None:
    write(*(line(ROW | {"age": n}, n / 100, name=str(n)) for n in range(50)), name=f"{OLD}.0")
    write(line(ROW, 0.9), line(ROW, 0.8)[:-30])
    traffic.told("7", 1)
    before = seen()
    facts = before.count(), before.torn, before.labelled()
    rows = sampled(before)
    compact(paths.PREDICTIONS)
    after = seen()
    assert (after.count(), after.torn, after.labelled()) == facts == (51, 1, [(1, 0.07)])
    assert sampled(after).equals(rows)


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
        compact(paths.PREDICTIONS)
    assert seen().count() == 2
    compact(paths.PREDICTIONS)
    assert names() == [f"{OLD}.0.parquet"]
    assert seen().count() == 2


def test_files_of_other_names_are_left_alone(released: Path) -> None:
    write(line(ROW, 0.1), name="notes")
    compact(paths.PREDICTIONS)
    assert names() == ["notes.jsonl"]
    assert seen().count() == 1
