import json
from typing import Any
from unittest.mock import ANY

import msgspec
import numpy as np
import pytest

from {{ cookiecutter.__package }}.serving.schema import BadRequest, Column, Schema

COLUMNS = [
    Column("from", True, ["shop", "web"], ""),
    Column("annual income (€)", False, None, ""),
    Column("visits.monthly", True, None, ""),
]
SCHEMA = Schema(COLUMNS, "id", "when")
ROW: dict[str, Any] = {"from": "web", "annual income (€)": 1.5, "visits.monthly": 2}


def rows_of(body: bytes, schema: Schema = SCHEMA) -> list[Any]:
    """The rows of a body, decoded as the service does it."""
    found = schema.decode(body)
    if not isinstance(found, list):
        return [found]
    return schema.decode_rows(found, 0)[0]


def decode(value: Any) -> list[Any]:
    return rows_of(json.dumps(value).encode())


def encode(value: Any) -> list[list[float]]:
    return [array.tolist() for array in SCHEMA.encode(decode(value))[0]]


def refused(body: bytes) -> tuple[str, str | None]:
    with pytest.raises(BadRequest) as refusal:
        rows_of(body)
    return refusal.value.args[0], refusal.value.field


def test_one_row_and_many_are_read_alike() -> None:
    assert encode(ROW) == encode([ROW]) == [[1], [1.5], [2.0]]
    assert encode([ROW, ROW]) == [[1, 1], [1.5, 1.5], [2.0, 2.0]]


def kept(text: str) -> list[str]:
    """What the log keeps, line by line, of a row that comes twice in a list."""
    _, each = SCHEMA.decode_rows(SCHEMA.decode(f"[{text}, {text}]".encode()), 0)
    return [msgspec.json.encode(one).decode() for one in each]


@pytest.mark.parametrize("role", ["", ', "id": "17"', ', "id": "17", "when": "2024-01-01"'])
def test_a_row_is_kept_as_it_was_sent(role: str) -> None:
    sent = '{ "visits.monthly": 2.50, "annual income (€)": null, "from": "\\u0077eb"' + role + "}"
    assert kept(sent) == [sent] * 2


@pytest.mark.parametrize(
    "more", ['"from": "shop",', "\n", "\r", '"id": null,', '"from":"a\\":b",', '"id" : "1",']
)
def test_a_row_that_would_be_read_otherwise_is_written_anew(more: str) -> None:
    # the last one of two equal columns counts here, the first one in DuckDB
    sent = "{" + more + '"from": "web", "annual income (€)": 1, "visits.monthly": 2}'
    anew = json.loads(sent) | {"id": ANY, "when": ANY}
    assert all(json.loads(line) == anew for line in kept(sent))
    assert all(line.count("from") == 1 and "\n" not in line for line in kept(sent))


def test_a_category_becomes_its_place_and_missing_and_unseen_come_after() -> None:
    schema = Schema([Column("c", False, ["a", "b"], "")], "id", "when")
    rows = [{"c": value} for value in ("a", "b", None, "new")]
    (codes,), unseen = schema.encode(rows_of(json.dumps(rows).encode(), schema))
    assert codes.tolist() == [0, 1, 2, 3]
    assert unseen == [[], [], [], ["c"]]


def test_a_row_on_its_own_is_encoded_as_in_a_list() -> None:
    rows = decode([ROW, ROW | {"from": "new", "annual income (€)": None}])
    arrays, unseen = SCHEMA.encode(rows)
    for number, row in enumerate(rows):
        values, its = SCHEMA.encode_row(row)
        assert its == unseen[number]
        in_list = [array[number] for array in arrays]
        np.testing.assert_array_equal([np.nan if x is None else x for x in values], in_list)


def test_a_number_that_may_be_missing_may_be_null() -> None:
    assert np.isnan(encode(ROW | {"annual income (€)": None})[1][0])


def test_key_and_time_may_come_along() -> None:
    (row,) = decode(ROW | {"id": "17", "when": "2024-01-01"})
    assert json.loads(json.dumps([row.key, row.time])) == ["17", "2024-01-01"]


def test_a_table_is_encoded_like_its_rows() -> None:
    rows = [ROW, ROW | {"from": "new", "annual income (€)": None}]
    table = {name: [row[name] for row in rows] for name in ROW}
    arrays, _ = SCHEMA.encode(decode(rows))
    for one, other in zip(SCHEMA.encode_columns(table), arrays, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(
    ("change", "said", "field"),
    [
        ({"from": 1}, "column `from`: Expected `str`, got `int`", "from"),
        ({"from": None}, "column `from`: Expected `str`, got `null`", "from"),
        ({"annual income (€)": "x"}, "column `annual income (€)`: Expected", "annual income (€)"),
        ({"visits.monthly": None}, "column `visits.monthly`: Expected", "visits.monthly"),
        ({"visits.monthly": True}, "column `visits.monthly`: Expected", "visits.monthly"),
        ({"colour.of": 1}, "column `colour.of` is unknown", "colour.of"),
    ],
)
def test_the_column_that_is_wrong_is_named(change: dict[str, Any], said: str, field: str) -> None:
    message, place = refused(json.dumps(ROW | change).encode())
    assert message.startswith(said)
    assert place == field
    message, place = refused(json.dumps([ROW, ROW | change]).encode())
    assert message.startswith(said)
    assert place == f"[1].{field}"


@pytest.mark.parametrize("name", ROW)
def test_a_column_left_out_is_named(name: str) -> None:
    row = {other: value for other, value in ROW.items() if other != name}
    body = json.dumps([ROW, row]).encode()
    assert refused(body) == (f"column `{name}` is missing", f"[1].{name}")


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity"])
def test_a_number_that_json_does_not_have_is_named(number: str) -> None:
    body = json.dumps([ROW, ROW | {"annual income (€)": float(number)}]).encode()
    message, place = refused(body)
    assert message.startswith("column `annual income (€)` is ")
    assert "send null" in message
    assert place == "[1].annual income (€)"


@pytest.mark.parametrize("body", [b"", b"{", b"hello", b"\xff", b'[{"from": "web"', b"[" * 100_000])
def test_a_body_that_is_not_json_is_refused(body: bytes) -> None:
    assert refused(body)[0].startswith("the body is not JSON: ")


@pytest.mark.parametrize("body", [b"1", b'"web"', b"null", b"[1]", b"[[]]"])
def test_a_body_of_no_rows_is_refused(body: bytes) -> None:
    assert "Expected" in refused(body)[0]


@pytest.mark.parametrize("number", ["1e999", "-1e999"])
def test_a_number_beyond_all_bounds_is_refused(number: str) -> None:
    said = "column `annual income (€)`: Number out of range"
    assert refused(json.dumps(ROW).replace("1.5", number).encode())[0] == said


@pytest.mark.parametrize(
    ("change", "said", "field"),
    [
        ({"from": 1}, "column `from`: Expected `str`, got `int`", "[3].from"),
        ({"colour": 1}, "column `colour` is unknown", "[3].colour"),
        ({"visits.monthly": np.inf}, "column `visits.monthly` is inf", "[3].visits.monthly"),
        ({"visits.monthly": np.nan}, "column `visits.monthly` is nan", "[3].visits.monthly"),
    ],
)
def test_a_row_of_another_protocol_is_checked_alike(
    change: dict[str, Any], said: str, field: str
) -> None:
    assert SCHEMA.convert_row(ROW, 0) == decode(ROW)[0]
    with pytest.raises(BadRequest) as refusal:
        SCHEMA.convert_row(ROW | change, 3)
    assert refusal.value.args[0].startswith(said)
    assert refusal.value.field == field


def test_a_row_of_another_protocol_may_lack_nothing() -> None:
    with pytest.raises(BadRequest, match="column `from` is missing"):
        SCHEMA.convert_row({"visits.monthly": 1.0, "annual income (€)": None}, 0)


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        (COLUMNS, ""),
        (COLUMNS[::-1], ""),
        ([Column("from", False, ["bar"], "other"), *COLUMNS[1:]], ""),
        (COLUMNS[1:], "takes no from any more"),
        (COLUMNS[2:], "takes no annual income (€), from any more"),
        ([*COLUMNS, Column("new", False, None, "")], "needs new"),
        ([Column("from", True, None, ""), *COLUMNS[1:]], "takes from as another type"),
        (
            [COLUMNS[0], Column("annual income (€)", True, None, ""), COLUMNS[2]],
            "does not allow annual income (€) to be missing any more",
        ),
    ],
)
def test_a_schema_knows_whether_requests_of_today_fit_another(
    columns: list[Column], said: str
) -> None:
    assert SCHEMA.broken_by(Schema(columns, "id", "when")) == said


def test_requests_with_a_key_fit_no_schema_that_names_it_otherwise() -> None:
    other = Schema(COLUMNS, "customer", "when")
    assert SCHEMA.broken_by(other) == "takes customer and when in place of id and when"
