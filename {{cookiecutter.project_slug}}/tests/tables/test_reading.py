import bz2
import gzip
import json
from pathlib import Path
from typing import Any

import duckdb
import pytest

from {{ cookiecutter.__package }}.cli import Refusal
from {{ cookiecutter.__package }}.tables import reading
from {{ cookiecutter.__package }}.tables.dialect import Dialect
from {{ cookiecutter.__package }}.tables.reading import to_parquet


def read(
    folder: Path, name: str, content: bytes | str, **known: Any
) -> tuple[list[str], list[Any]]:
    """Column names and rows of a file after it has been read."""
    path, target = folder / name, folder / "read.parquet"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    dialect = Dialect(**{key: known.pop(key) for key in list(known) if key != "numbered"})
    to_parquet(path, target, folder, dialect, **known)
    with duckdb.connect() as connection:
        found = connection.execute("FROM read_parquet(?)", [target.as_posix()])
        return [column[0] for column in found.description or []], found.fetchall()


def test_csv_stays_text(tmp_path: Path) -> None:
    names, rows = read(tmp_path, "a.csv", "id,n\n007,9007199254740993\n1, 2.50 \n")
    assert names == ["id", "n"]
    assert rows == [("007", "9007199254740993"), ("1", "2.50")]


@pytest.mark.parametrize(
    "word", ["", "NA", "n/a", "NaN", "null", "None", "?", " ? ", "-", "-inf", "Infinity"]
)
def test_a_missing_value_is_null_however_it_is_written(tmp_path: Path, word: str) -> None:
    assert read(tmp_path, "a.csv", f"a,b\n{word},x\n")[1] == [(None, "x")]


@pytest.mark.parametrize("sign", [",", ";", "\t", "|"])
def test_the_delimiter_is_found_out(tmp_path: Path, sign: str) -> None:
    text = sign.join(["a", "b"]) + "\n" + sign.join(['"1,5;x|y"', "2"]) + "\n"
    assert read(tmp_path, "a.csv", text) == (["a", "b"], [("1,5;x|y", "2")])


@pytest.mark.parametrize(
    "encoding",
    ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "latin-1", "cp1252"],
)
def test_the_encoding_is_found_out(tmp_path: Path, encoding: str) -> None:
    text = "größe,ort,ende\n1,Köln,x\n"
    assert read(tmp_path, "a.csv", text.encode(encoding)) == (
        ["größe", "ort", "ende"],
        [("1", "Köln", "x")],
    )


def test_a_character_across_two_chunks_is_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("{{ cookiecutter.__package }}.tables.encoding.CHUNK", 7)
    text = "größe,b\r\nöööööööö,ü\r\n1,2\n"
    for encoding in ("utf-8", "utf-16", "latin-1"):
        rows = read(tmp_path, "a.csv", text.encode(encoding))[1]
        assert rows == [("öööööööö", "ü"), ("1", "2")]


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress])
def test_packed_files_are_unpacked(tmp_path: Path, pack: Any) -> None:
    ending = {"gzip": "gz", "bz2": "bz2"}[pack.__module__]
    assert read(tmp_path, f"a.csv.{ending}", pack(b"a,b\n1,2\n"))[1] == [("1", "2")]


def test_decimal_commas_become_points_where_they_are_such(tmp_path: Path) -> None:
    text = "a;b\n1,5;1.234,50\n-2;1.000.000\n0,125;0.125\nx,y;1,2,3\n"
    rows = read(tmp_path, "a.csv", text, decimal=",")[1]
    assert rows == [("1.5", "1234.50"), ("-2", "1000000"), ("0.125", "0.125"), ("x,y", "1,2,3")]


def test_thousands_are_joined_only_where_they_are_certain(tmp_path: Path) -> None:
    text = 'a,b\n"1,234,567.5","1,5"\n"0,123","12,34"\n"1,234",x\n'
    rows = read(tmp_path, "a.csv", text)[1]
    assert rows == [("1234567.5", "1,5"), ("0,123", "12,34"), ("1234", "x")]


def test_a_line_with_another_number_of_fields_is_refused_by_its_number(tmp_path: Path) -> None:
    for line, count in (("1", 1), ("1,2,3", 3)):
        with pytest.raises(
            Refusal, match=f"a.csv: line 4 has {count} fields where the header has 2"
        ):
            read(tmp_path, "a.csv", f"a,b\n1,2\n3,4\n{line}\n")


def test_empty_fields_beyond_the_header_are_passed_over(tmp_path: Path) -> None:
    assert read(tmp_path, "a.csv", "a,b\n1,2,\n3,4\n5,6,\n")[1] == [
        ("1", "2"),
        ("3", "4"),
        ("5", "6"),
    ]


@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
def test_fields_may_hold_lines_and_quotes(tmp_path: Path, line_end: str) -> None:
    text = f'a,b{line_end}"x""y","1\n2"{line_end}z,3{line_end}'
    assert read(tmp_path, "a.csv", text)[1] == [('x"y', "1\n2"), ("z", "3")]


def test_a_file_whose_lines_end_in_two_ways_is_read(tmp_path: Path) -> None:
    assert read(tmp_path, "a.csv", "a,b\n1,2\r\n3,4\n")[1] == [("1", "2"), ("3", "4")]


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.csv", "", "a.csv is empty"),
        ("a.csv", 'a,b\n1,"x\n', "line 2 opens a quote that is never closed"),
        ("a.json", '[{"a": 1}, {"a"', "a.json: the file cannot be read"),
        ("a.parquet", "no", "a.parquet: "),
        ("a.csv.gz", "no", "a.csv.gz cannot be unpacked"),
        ("a.xlsx", "", "a.xlsx is no table that can be read; save it as CSV"),
    ],
)
def test_what_cannot_be_read_is_refused_in_a_sentence(
    tmp_path: Path, name: str, content: str, said: str
) -> None:
    with pytest.raises(Refusal, match=said):
        read(tmp_path, name, content)


def test_json_lines_and_arrays_have_all_keys_as_columns(tmp_path: Path) -> None:
    rows: list[dict[str, Any]] = [
        {"b": 1, "a": 2**53 + 1},
        {"c/d~": {"e": [1]}, "a": True, "b": None},
    ]
    for text in ("\n".join(map(json.dumps, rows)), json.dumps(rows)):
        assert read(tmp_path, "a.json", text) == (
            ["a", "b", "c/d~"],
            [("9007199254740993", "1", None), ("true", None, '{"e":[1]}')],
        )


def test_parquet_keeps_its_types_but_for_endless_and_nested_values(tmp_path: Path) -> None:
    query = (
        "SELECT 1::TINYINT AS a, 'inf'::DOUBLE AS b, ' NA ' AS c, [1, 2] AS d, true AS e, "
        "TIMESTAMPTZ '2024-01-01 10:00:00+02' AS f, DATE '2024-01-01' AS g, 1.50::DECIMAL(5,2) AS h"
    )
    with duckdb.connect() as connection:
        connection.sql(query).write_parquet((tmp_path / "x.parquet").as_posix())
    names, ((*plain, moment, day, exact),) = read(
        tmp_path, "y.parquet", (tmp_path / "x.parquet").read_bytes()
    )
    assert names == list("abcdefgh")
    assert plain == [1, None, None, "[1, 2]", True]
    assert (str(moment), str(day), str(exact)) == ("2024-01-01 08:00:00", "2024-01-01", "1.50")


def test_rows_are_numbered_in_their_order(tmp_path: Path) -> None:
    names, rows = read(tmp_path, "a.csv", "a\n5\n3\n4\n", numbered=("row_id", "2024"))
    assert names == ["row_id", "a"]
    assert rows == [("2024-1", "5"), ("2024-2", "3"), ("2024-3", "4")]


def test_two_thousand_columns_are_read(tmp_path: Path) -> None:
    text = ",".join(f"c{n}" for n in range(2000)) + "\n" + ",".join("1" * 2000) + "\n"
    names, rows = read(tmp_path, "a.csv", text)
    assert (len(names), rows) == (2000, [("1",) * 2000])


def test_the_same_file_gives_the_same_bytes_with_any_number_of_threads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.csv"
    path.write_text("a,b\n" + "".join(f"{n},x{n % 7}\n" for n in range(300_000)))
    usual = reading.connected
    found = set()
    for threads in (1, 4):

        def connected(scratch: Path, threads: int = threads) -> duckdb.DuckDBPyConnection:
            connection = usual(scratch)
            connection.execute(f"SET threads = {threads}")
            return connection

        monkeypatch.setattr(reading, "connected", connected)
        to_parquet(path, tmp_path / "out.parquet", tmp_path, numbered=("row_id", "p"))
        found.add((tmp_path / "out.parquet").read_bytes())
    assert len(found) == 1


def test_nothing_is_left_aside(tmp_path: Path) -> None:
    read(tmp_path, "a.csv", "größe\n1\n".encode("utf-16"))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.csv", "read.parquet"]


def test_a_line_end_across_two_chunks_is_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("{{ cookiecutter.__package }}.tables.encoding.CHUNK", 4)
    assert read(tmp_path, "a.csv", "a\n1\r\n2\n")[1] == [("1",), ("2",)]
