import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from {{ cookiecutter.__package }} import paths
from {{ cookiecutter.__package }}.monitoring import answered, labels
from {{ cookiecutter.__package }}.monitoring import traffic as found_in
from {{ cookiecutter.__package }}.monitoring.traffic import Traffic

from .. import customers
from . import traffic
from .traffic import line, told, write

ROW = customers.request(1)
assert None not in ROW.values()


def seen(days: float = 30) -> Traffic:
    return Traffic(traffic.model(), days)


def test_without_a_log_nothing_was_answered(released: Path) -> None:
    assert seen().count() == 0
    assert seen().labelled() == []


def test_only_this_version_and_the_last_days_count(released: Path) -> None:
    write(line(ROW, 0.1), line(ROW, 0.2, days_ago=29), line(ROW, 0.3, days_ago=31))
    write(line(ROW, 0.4, version=2), name="2999-05-02.7-a.0")
    write(line(ROW, 0.5), name="2999-05-02.8-a.0")
    assert seen().count() == 3
    assert seen(1).count() == 2
    assert sorted(seen().sample(10, 0, "prediction")["prediction"]) == [0.1, 0.2, 0.5]


def test_a_torn_last_line_is_passed_over(released: Path) -> None:
    write(line(ROW, 0.1), line(ROW, 0.2), line(ROW, 0.3)[:-40])
    write(line(ROW, 0.4), name="2999-05-02.1-a.0")
    assert seen().count() == 3
    assert seen().torn == 1
    assert sorted(seen().sample(10, 0, "prediction")["prediction"]) == [0.1, 0.2, 0.4]


def test_a_torn_line_in_the_middle_is_passed_over(released: Path) -> None:
    write(line(ROW, 0.1), line(ROW, 0.2)[:-40] + "\n", line(ROW, 0.3))
    assert (seen().count(), seen().torn) == (2, 1)


def test_torn_lines_of_packed_files_are_counted_in_every_look(released: Path) -> None:
    write(line(ROW, 0.1), line(ROW, 0.2)[:50], name="2024-05-01.1-a.0")
    write(line(ROW, 0.3)[:-40] + "\n", name="2024-05-02.1-a.0")
    write(line(ROW, 0.3)[:50], name="2024-05-03.1-a.0")
    write(line(ROW, 0.4), line(ROW, 0.5)[:-40])
    for _ in range(2):
        assert (seen().count(), seen().torn) == (2, 4)
    assert len(list(paths.PREDICTIONS.glob("*.parquet"))) == 3


def test_a_sample_has_the_columns_under_their_own_names(released: Path) -> None:
    write(line(ROW, 0.25), line(ROW | {"annual income (€)": None, "friend's plan": None}, 0.75))
    sample = seen().sample(10, 0, "prediction").sort_values("prediction")
    assert set(sample) == {*customers.PARAMS["data"]["columns"], "signed_up", "prediction"}
    assert set(sample["signed_up"]) == {ROW["signed_up"]}
    for name in customers.PARAMS["data"]["columns"]:
        assert sample[name].iloc[0] == ROW[name]
    assert sample[["annual income (€)", "friend's plan"]].iloc[1].isna().all()
    assert all(sample[name].dtype == "float64" for name in customers.NUMERIC)


def test_rows_that_are_the_same_as_an_earlier_one_are_repeated(released: Path) -> None:
    others = [line(customers.request(number), 0.5) for number in range(2, 8)]
    write(line(ROW, 0.1), *others)
    assert seen().repeated() == 0
    write(line(ROW | {"age": 99}, 0.1))  # the same customer, but another question
    assert seen().repeated() == 0
    write(line(ROW, 0.1, days_ago=29), line(ROW, 0.1), line(ROW, 0.1, days_ago=31))
    assert seen().repeated() == pytest.approx(0.2)


def test_rows_without_a_key_are_never_repeated(released: Path) -> None:
    assert seen().repeated() == 0
    write(*(line(ROW | {"customer_id": None}, 0.1) for _ in range(5)))
    assert seen().repeated() == 0


def test_a_sample_is_bounded_and_the_same_for_the_same_seed(released: Path) -> None:
    write(*(line(ROW, number / 1000) for number in range(1000)))
    first, again = seen().sample(50, 7, "prediction"), seen().sample(50, 7, "prediction")
    assert len(first) == 50
    assert first.equals(again)
    assert not first.equals(seen().sample(50, 8, "prediction"))


def test_labels_join_by_key_and_the_last_answer_counts(released: Path) -> None:
    rows = customers.frame("2024-04").assign(churned=1.0)
    customers.write(rows, paths.RAW / "2024-04.parquet")
    known = [customers.request(number, "2024-04") for number in range(3)]
    write(line(known[0], 0.1, days_ago=3), line(known[0], 0.9), line(known[0], 0.5, days_ago=1))
    write(line(known[1], 0.2), line(known[2] | {"customer_id": None}, 0.7), line(ROW, 0.8))
    assert sorted(seen().labelled()) == [(1, 0.2), (1, 0.9)]


def test_rows_whose_label_has_not_arrived_are_left_out(released: Path) -> None:
    rows = customers.frame("2024-04")
    unknown = int(rows["churned"].isna().to_numpy().argmax())
    write(line(customers.request(unknown, "2024-04"), 0.1))
    assert seen().labelled() == []
    assert seen().count() == 1


def test_labels_may_come_long_after_the_window_of_drift(released: Path) -> None:
    write(line(customers.request(1, "2024-04"), 0.1, days_ago=60))
    assert seen(30).count() == 0
    assert len(seen(30).labelled()) == 1


def test_a_label_may_be_told_by_the_id_of_the_answer(released: Path) -> None:
    write(line(ROW, 0.2, name="a"), line(ROW | {"customer_id": None}, 0.7, name="b"))
    told("a", 0, days_ago=2)
    told("a", 1, days_ago=1)
    told("b", 0)
    told("never answered", 1)
    assert sorted(seen().labelled()) == [(0, 0.7), (1, 0.2)]


def test_the_label_in_the_data_counts_more_than_the_one_told(released: Path) -> None:
    rows = customers.frame("2024-04").assign(churned=1.0)
    customers.write(rows, paths.RAW / "2024-04.parquet")
    write(line(customers.request(0, "2024-04"), 0.1, name="a"))
    told("a", 0)
    assert seen().labelled() == [(1, 0.1)]


def test_labelled_answers_come_with_the_row_that_was_sent(released: Path) -> None:
    assert seen().asked(10, 0, days_ago(9)) == []
    other = customers.request(2, "2024-05")
    write(line(ROW, 0.1, days_ago=3, name="a"), name="2024-01-01.1-a.0")
    write(line(ROW, 0.2, days_ago=2, name="b"), line(other, 0.3, days_ago=1, name="c"))
    write(line(customers.request(3, "2024-05"), 0.4, name="d"))  # nobody knows of this one
    for name in ("a", "b", "c"):
        told(name, 1)
    found = seen().asked(10, 0, days_ago(9))
    # of a row asked for twice the last answer counts
    assert [(label, answer) for label, answer, _ in found] == [(1, 0.2), (1, 0.3)]
    assert [json.loads(row) for *_, row in found] == [ROW, other]
    assert seen().asked(10, 0, days_ago(1.5)) == found[1:]


def test_labelled_answers_are_drawn_and_the_same_ones_for_the_same_seed(released: Path) -> None:
    rows = [customers.request(number) | {"customer_id": None} for number in range(50)]
    write(*(line(row, n / 100, name=f"{n}") for n, row in enumerate(rows)))
    for n in range(50):
        told(f"{n}", n % 2)
    first = seen().asked(20, 7, days_ago(1))
    assert len(first) == 20
    assert first == seen().asked(20, 7, days_ago(1)) != seen().asked(20, 8, days_ago(1))
    assert all(label == round(answer * 100) % 2 for label, answer, _ in first)


def days_ago(days: float) -> datetime:
    return datetime.now(UTC) - timedelta(days=days)


def numbered(count: int) -> list[str]:
    """Lines of as many customers."""
    return [line(ROW | {"customer_id": str(n)}, n / count) for n in range(count)]


def test_a_sample_is_fair_however_often_one_row_is_asked_for(released: Path) -> None:
    others = numbered(1000)
    for name in ("2024-05-01.1-a.0", "2999-05-01.1-a.0"):
        write(*others[:500], *(line(ROW, 0.9) for _ in range(500)), name=name)
    shares = [(seen().sample(200, seed, "p")["p"] == 0.9).mean() for seed in range(20)]
    assert 0.45 < sum(shares) / len(shares) < 0.55
    assert max(abs(share - 0.5) for share in shares) < 0.2


def test_doubled_rows_are_found_in_a_sample(
    released: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = numbered(4000)
    monkeypatch.setattr(found_in, "DOUBLES", 2000)
    write(*lines[:2000], name="2024-05-01.1-a.0")
    write(*lines[2000:], name="2024-05-02.1-a.0")
    assert seen().repeated() == 0
    write(*numbered(1000), name="2999-05-01.1-a.0")  # asked for in an earlier file
    assert seen().repeated() == pytest.approx(0.2, abs=0.05)
    write(*numbered(1000), *numbered(500), name="2999-05-01.1-a.0")  # and in the same
    assert seen().repeated() == pytest.approx(2500 / 6500, abs=0.05)


def test_labels_of_a_long_log_are_looked_for_in_a_sample_of_it(
    released: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = customers.frame("2024-04").assign(churned=1.0)
    customers.write(rows, paths.RAW / "2024-04.parquet")
    asked = [customers.request(number, "2024-04") for number in range(200)]
    write(*(line(row, 0.1, days_ago=2) for row in asked), name="2024-05-01.1-a.0")
    write(*(line(row, 0.9) for row in asked))
    monkeypatch.setattr(labels, "ROWS", 60)
    found = seen().labelled()
    assert found == [(1, 0.9)] * len(found)  # the last answer counts here, too
    assert 25 < len(found) < 90


def test_packed_files_are_counted_once(released: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(line(ROW, 0.1), line(ROW, 0.2, days_ago=31), name="2024-05-01.1-a.0")
    assert seen().count() == 1
    write(line(ROW, 0.3), name="2024-05-02.1-a.0")
    asked = []
    count = answered.Answered._count

    def counting(log: answered.Answered, source: str, name: str) -> answered.Parts:
        asked.append(source)
        return count(log, source, name)

    monkeypatch.setattr(answered.Answered, "_count", counting)
    assert seen().count() == 2
    first, still_open = asked
    assert "2024-05-02" in first
    assert "2024-05-01" not in first
    assert still_open == answered.OPEN
    (paths.PREDICTIONS / "2024-05-02.1-a.0.packed.parquet").unlink()  # put away by somebody
    assert seen().count() == 1
