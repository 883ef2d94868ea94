"""One file of a table to one Parquet file, streaming, in bounded memory, always the same bytes.

Text (CSV, JSON) stays text: what is a number is decided later, by the declared type. Everywhere
the ways of writing that a value is missing become null, infinities too.
"""

import re
from pathlib import Path

import duckdb

from ..cli import Refusal
from ..table import quoted
from . import dialect as dialects
from .dialect import Dialect
from .encoding import PACKED, utf8
from .names import cleaned

DELIMITED = (".csv", ".tsv", ".txt", ".psv")
JSON = (".jsonl", ".ndjson", ".json")
PARQUET = (".parquet", ".pq")
KINDS = (*DELIMITED, *JSON, *PARQUET)
MISSING = ("", "na", "n/a", "nan", "null", "none", "?", "-")
ENDLESS = tuple(sign + word for sign in ("", "+", "-") for word in ("inf", "infinity"))
WIDE = 200  # columns
VALUES = 1 << 23  # in one row group: bounds the memory of wide tables
NATIVE = re.compile(r"BOOLEAN|DATE|U?(TINY|SMALL|BIG|HUGE)INT|U?INTEGER|DECIMAL\(.*\)")
LINE = re.compile(r"CSV Error on Line: (\d+)")
WIDTHS = re.compile(r"Expected Number of Columns: (\d+) Found: (\d+)")


def kind(name: str) -> str:
    """What a file's name says it holds, such as `.csv`; `Refusal` when it is none of `KINDS`."""
    last = Path(name.lower()).suffix
    packed = last in PACKED
    suffix = Path(Path(name.lower()).stem).suffix if packed else last
    if suffix not in KINDS or (packed and suffix in PARQUET):
        raise Refusal(f"{name} is no table that can be read; save it as CSV, Parquet or JSON lines")
    return suffix


def to_parquet(
    path: Path,
    target: Path,
    scratch: Path,
    dialect: Dialect | None = None,
    numbered: tuple[str, str] | None = None,
    ordered: bool = False,
) -> None:
    """Write the table that `path` holds to `target`, with cleaned column names.

    `numbered` adds a column of that name, with that text, a hyphen and the row's number; `ordered`
    sorts the rows by all columns before, for where they come in no order of their own.
    """

    def copy(parts: Parts) -> None:
        _copy(connection, path, target, parts, numbered, ordered)

    known = dialect or Dialect()
    suffix = kind(path.name)
    with connected(scratch) as connection:
        if suffix in PARQUET:
            try:
                copy(_parquet(connection, path))
            except duckdb.Error as error:
                raise Refusal(f"{path.name}: {_sentence(str(error))}") from None
            return
        text = utf8(path, known.encoding, scratch)
        read = _json if suffix in JSON else _delimited
        try:
            copy(read(connection, text, known))
        except duckdb.Error as error:
            raise Refusal(f"{path.name}: {_sentence(str(error))}") from None
        except _Mixed:  # lines that end in two ways: rare enough to pay for a copy then
            text = utf8(path, known.encoding, scratch, one_newline=True)
            copy(read(connection, text, known))
        finally:
            if text != path:
                text.unlink(missing_ok=True)


def connected(scratch: Path) -> duckdb.DuckDBPyConnection:
    """A database in bounded memory, which lays aside in `scratch` what does not fit."""
    connection = duckdb.connect(config={"memory_limit": "1GB", "temp_directory": str(scratch)})
    connection.execute("SET TimeZone = 'UTC'")  # moments with an offset become UTC
    return connection


class _Mixed(Exception):
    """Lines of one file end in different ways."""


Parts = tuple[str, list[object], list[str]]  # FROM clause, its values, expressions of the columns


def _delimited(connection: duckdb.DuckDBPyConnection, path: Path, known: Dialect) -> Parts:
    sign = known.delimiter or dialects.delimiter(path)
    header = next(dialects.records(path, sign), None)
    if header is None:
        raise Refusal(f"{path.name.removesuffix('.utf8')} is empty")
    columns = {f"c{number}": "VARCHAR" for number in range(len(header))}
    names = cleaned(header)
    trimmed = ", ".join(f"trim({held}) AS {held}" for held in columns)
    source = (
        f"(SELECT {trimmed} FROM read_csv($1, auto_detect = false, header = true, delim = $2, "
        "quote = '\"', escape = '\"', columns = $3, skip = $4, maximum_line_size = 16777216))"
    )
    shown = [_text(held, name, known.decimal) for held, name in zip(columns, names, strict=True)]
    return source, [path.as_posix(), sign, columns, _empty_lines(path)], shown


def _empty_lines(path: Path) -> int:
    """Lines before the header."""
    with path.open(encoding="utf-8-sig") as file:
        return next((number for number, line in enumerate(file) if line != "\n"), 0)


def _json(connection: duckdb.DuckDBPyConnection, path: Path, known: Dialect) -> Parts:
    connection.execute("SET threads = 1")  # else lines change places now and then
    source = "read_json_objects($1, format = 'auto')"
    keys = connection.execute(
        f"SELECT key FROM (SELECT unnest(json_keys(json)) AS key FROM {source}) GROUP BY key "
        "ORDER BY key",
        [path.as_posix()],
    ).fetchall()
    header = [str(key) for (key,) in keys]
    pointers = ["/" + key.replace("~", "~0").replace("/", "~1") for key in header]
    texts = "list_transform(json_extract_string(json, $2), lambda one: trim(one))"
    rows = f"(SELECT {texts} AS found FROM {source})"
    shown = [
        _text(f"found[{number}]", name, known.decimal, plain=True)
        for number, name in enumerate(cleaned(header), 1)
    ]
    return rows, [path.as_posix(), pointers], shown


def _parquet(connection: duckdb.DuckDBPyConnection, path: Path) -> Parts:
    source = "read_parquet($1)"
    described = connection.execute(f"DESCRIBE SELECT * FROM {source}", [path.as_posix()])
    types = [(name, type_) for name, type_, *_ in described.fetchall()]
    shown = []
    for (held, type_), name in zip(types, cleaned([name for name, _ in types]), strict=True):
        column = quoted(held)
        if type_ in ("FLOAT", "DOUBLE"):
            column = f"CASE WHEN isfinite({column}) THEN {column} END"
        elif type_ == "VARCHAR":
            column = f"CASE WHEN NOT ({_missing(f'trim({column})')}) THEN trim({column}) END"
        elif type_.startswith("TIMESTAMP"):
            column = f"{column}::TIMESTAMP"
        elif not NATIVE.fullmatch(type_):
            column = f"{column}::VARCHAR"
        shown.append(f"{column} AS {quoted(name)}")
    return source, [path.as_posix()], shown


def _missing(text: str) -> str:
    words = ", ".join(f"'{word}'" for word in (*MISSING, *ENDLESS))
    return f"length({text}) <= 9 AND lower({text}) IN ({words})"


def _text(held: str, name: str, decimal: str, plain: bool = False) -> str:
    """A trimmed text column in SQL: missing values as null, numbers as SQL casts them."""
    value = held if plain else quoted(held)
    one, other = (",", ".") if decimal == "." else (".", ",")
    groups = rf"[-+]?[1-9]\d?\d?(\{one}\d\d\d)+(\{other}\d+)?"
    grouped = f"contains({value}, '{one}') AND regexp_full_match({value}, '{groups}')"
    rewritten = f"replace(replace({value}, '{one}', ''), ',', '.')"
    cases = [f"WHEN {_missing(value)} THEN NULL", f"WHEN {grouped} THEN {rewritten}"]
    if decimal == ",":
        number = r"[-+]?\d+,\d+"
        comma = f"contains({value}, ',') AND regexp_full_match({value}, '{number}')"
        cases.append(f"WHEN {comma} THEN replace({value}, ',', '.')")
    return f"CASE {' '.join(cases)} ELSE {value} END AS {quoted(name)}"


def _copy(
    connection: duckdb.DuckDBPyConnection,
    path: Path,
    target: Path,
    parts: Parts,
    numbered: tuple[str, str] | None,
    ordered: bool,
) -> None:
    source, values, shown = parts
    if not shown:
        raise Refusal(f"{path.name} holds no columns")
    query = f"SELECT {', '.join(shown)} FROM {source}{' ORDER BY ALL' if ordered else ''}"
    if numbered:
        column, prefix = numbered
        values = [*values, f"{prefix}-"]
        number = f"${len(values)} || row_number() OVER () AS {quoted(column)}"
        query = f"SELECT {number}, * FROM ({query})"
    if len(shown) > WIDE:
        connection.execute("PRAGMA disable_optimizer")  # it would take minutes
    rows = max(2048, min(122_880, VALUES // len(shown) // 2048 * 2048))
    try:
        found = connection.sql(query, params=values)
        found.write_parquet(target.as_posix(), row_group_size=rows)
    except duckdb.Error as error:
        said = str(error)
        if "state machine reached an invalid state" in said:
            raise _Mixed from None
        raise Refusal(f"{path.name}: {_sentence(said)}") from None


def _sentence(said: str) -> str:
    """What DuckDB says of a broken file, in one sentence."""
    line, widths = LINE.search(said), WIDTHS.search(said)
    where = f"line {line[1]}" if line else "the file"
    if widths:
        return (
            f"{where} has {widths[2]} fields where the header has {widths[1]}; mend the line, "
            "or put a field that holds the delimiter in quotes"
        )
    if "unterminated quote" in said:
        return f"{where} opens a quote that is never closed; close it, or double it"
    first = next((part for part in said.splitlines() if part.strip()), said)
    return f"{where} cannot be read ({first.strip()[:200]})"
