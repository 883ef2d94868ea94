from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import pytest

from {{ cookiecutter.__package }} import files, paths
from {{ cookiecutter.__package }}.cli import Refusal
from {{ cookiecutter.__package }}.pipeline import validate

from .. import customers

Change = Callable[[pd.DataFrame], Any]
INCOME = "annual income (€)"


def written(*changes: Change) -> None:
    """Two partitions, the second changed."""
    customers.Source().fetch(["2024-01"], paths.RAW)
    rows = customers.frame("2024-02")
    for change in changes:
        found = change(rows)
        rows = rows if found is None else found
    customers.write(rows, paths.RAW / "2024-02.parquet")


def refused(*changes: Change) -> str:
    written(*changes)
    with pytest.raises(Refusal) as refusal:
        validate.main()
    assert not paths.VALIDATION.exists()
    return str(refusal.value)


def put(column: str, value: object, rows: int = 1) -> Change:
    """The first rows of a column hold that value."""

    def change(frame: pd.DataFrame) -> pd.DataFrame:
        values = list(frame[column])
        values[:rows] = [value] * rows
        return frame.assign(**{column: values})

    return change


def drop(column: str) -> Change:
    return lambda frame: frame.drop(columns=column)


def test_sound_data_pass_and_their_profile_is_written(empty: Path) -> None:
    written()
    validate.main()
    profile = files.read_json(paths.VALIDATION)["partitions"]["2024-02"]
    rows = customers.frame("2024-02")
    assert profile["rows"] == len(rows)
    assert profile["unlabelled"] == rows["churned"].isna().sum()
    income = profile["columns"][INCOME]
    assert income["missing"] == rows[INCOME].isna().sum()
    assert (income["min"], income["max"]) == (rows[INCOME].min(), rows[INCOME].max())


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (drop(INCOME), f"2024-02 has no column '{INCOME}'"),
        (drop("churned"), "2024-02 has no column 'churned'"),
        (put("customer_id", 202402001), "2024-02 1 rows repeat or lack a 'customer_id'"),
        (put("customer_id", None, 3), "2024-02 3 rows repeat or lack a 'customer_id'"),
        (put("age", 130), "2024-02 'age' goes up to 130, above its max 120"),
        (put("age", -1), "2024-02 'age' goes down to -1, below its min 18"),
        (put(INCOME, -0.5), f"2024-02 '{INCOME}' goes down to -0.5, below its min 0"),
        (put(INCOME, None, 200), f"of '{INCOME}' is missing, more than its limit 50.0%"),
        (put("from", None), "2024-02 0.3% of 'from' is missing, more than its limit 0.0%"),
        (put("age", "old", 300), "2024-02 100.0% of 'age' is missing (300 are no numbers)"),
        (put("churned", 2), "2024-02 1 values of 'churned' are none of: 0, 1"),
        (put("churned", 0.5), "2024-02 1 values of 'churned' are none of: 0, 1"),
        (put("churned", None, 90), "of 'churned' is missing, more than max_unlabelled 20%"),
        (lambda frame: frame[:0], "2024-02 has no rows"),
    ],
)
def test_broken_data_are_named_by_partition_and_column(
    change: Change, said: str, empty: Path
) -> None:
    message = refused(change)
    assert said in message
    assert "2024-01" not in message


def test_all_that_is_broken_is_named_at_once(empty: Path) -> None:
    message = refused(put("age", 130), put("from", None), put("churned", 2))
    assert message.count("2024-02") == 3


def test_more_than_the_declared_columns_do_no_harm(empty: Path) -> None:
    written(lambda frame: frame.assign(extra=1))
    validate.main()
    assert "extra" not in paths.VALIDATION.read_text()


@pytest.mark.parametrize("dtype", ["int8", "int64", "float32", "uint8", "uint32"])
def test_every_kind_of_number_is_numeric(dtype: str, empty: Path) -> None:
    written(lambda frame: frame.assign(age=frame["age"].astype(dtype)))
    validate.main()


def test_decimal_numbers_are_numeric(empty: Path) -> None:
    # as money comes out of a database
    written(put(INCOME, Decimal("1234.50"), customers.ROWS))
    validate.main()
    profile = files.read_json(paths.VALIDATION)["partitions"]["2024-02"]
    assert float(profile["columns"][INCOME]["max"]) == 1234.5


def test_a_category_of_dates_passes(empty: Path) -> None:
    written(put("region", pd.Timestamp("2024-01-01"), customers.ROWS))
    validate.main()


def test_a_label_of_words_is_named(empty: Path) -> None:
    message = refused(put("churned", "yes", customers.ROWS))
    assert "2024-02" in message
    assert "'churned'" in message


def test_nan_is_not_a_number_that_may_hide_others(empty: Path) -> None:
    # polars writes NaN where pandas writes null
    written()
    path = (paths.RAW / "2024-02.parquet").as_posix()
    with duckdb.connect() as connection:
        connection.execute("CREATE TABLE t AS FROM read_parquet(?)", [path])
        connection.execute("ALTER TABLE t ALTER age TYPE DOUBLE")
        connection.execute("UPDATE t SET age = 'nan' WHERE customer_id % 10 = 0")
        connection.execute("UPDATE t SET age = 500 WHERE customer_id % 10 = 1")
        connection.sql("FROM t").write_parquet(path)
    with pytest.raises(Refusal) as refusal:
        validate.main()
    assert "2024-02 10.0% of 'age' is missing" in str(refusal.value)
    assert "'age' goes up to 500" in str(refusal.value)


def test_infinity_is_named(empty: Path) -> None:
    message = refused(put(INCOME, np.inf))
    assert "2024-02" in message
    assert INCOME in message
