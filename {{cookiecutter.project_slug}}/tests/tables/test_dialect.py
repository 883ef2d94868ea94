from pathlib import Path

import pytest

from {{ cookiecutter.__package }}.cli import Refusal
from {{ cookiecutter.__package }}.tables import dialect


def write(folder: Path, *columns: list[str]) -> Path:
    path = folder / "a.csv"
    header = ";".join(f"c{number}" for number in range(len(columns)))
    rows = (";".join(row) for row in zip(*columns, strict=True))
    path.write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("values", "sign"),
    [
        (["1,5", "2", "3,25"], ","),
        (["1.234,5", "2", "NA"], "."),  # too few are numbers
        (["1.234,5", "2", "7"], ","),
        (["1.5", "2", "3"], "."),
        (["1,234", "2,500", "3,000,000"], "."),  # thousands
        (["a,b", "c", "d"], "."),
    ],
)
def test_the_decimal_sign_is_told_by_a_column_of_numbers(
    tmp_path: Path, values: list[str], sign: str
) -> None:
    assert dialect.decimal(write(tmp_path, values, ["x"] * 3), ";") == sign


def test_columns_that_disagree_about_the_decimal_sign_are_refused(tmp_path: Path) -> None:
    path = write(tmp_path, ["1,5", "2,5"], ["1.5", "2.5"])
    with pytest.raises(Refusal, match="'c0' with decimal commas and 'c1' with decimal points"):
        dialect.decimal(path, ";")


def test_one_column_needs_no_delimiter(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("a\n1\n2\n")
    assert dialect.delimiter(tmp_path / "a.csv") == ","
