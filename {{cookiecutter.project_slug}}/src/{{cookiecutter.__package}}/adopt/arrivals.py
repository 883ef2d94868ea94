"""Getting hold of the table: from a file, a folder, an address or a database."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import duckdb

from ..cli import Refusal
from ..sources.folder import Folder, brought, named
from ..sources.query import WHOLE, Query
from ..tables import dialect as dialects
from ..tables.dialect import Dialect
from ..tables.encoding import utf8
from ..tables.reading import DELIMITED, JSON, kind, to_parquet
from .profile import all_of


@dataclass(frozen=True)
class Arrived:
    """The table on this machine.

    `parts` are its Parquet files by partition, `originals` the files they were made of, `settings`
    the arguments that read those again.
    """

    kind: Literal["file", "folder", "query"]
    stem: str
    parts: dict[str, Path]
    originals: dict[str, Path]
    settings: dict[str, Any]


def queried(address: str, sql: str, scratch: Path) -> Arrived:
    """All rows of a query."""
    Query(address, sql).fetch([WHOLE], scratch)
    settings = {"address": address, "sql": " ".join(sql.split())}
    return Arrived("query", "query", {WHOLE: scratch / f"{WHOLE}.parquet"}, {}, settings)


def files(address: str, scratch: Path) -> Arrived:
    """A file, or all of a folder, local or at any address that fsspec knows."""
    if address.startswith("~"):
        address = str(Path(address).expanduser())
    folder = Folder(address)
    paths = folder.files()
    single = next(iter(paths.values())).rstrip("/") == address.rstrip("/") or (
        len(paths) == 1 and not _is_folder(address)
    )
    (scratch / "originals").mkdir()
    originals, parts = {}, {}
    dialect: Dialect | None = None
    for name, path in sorted(paths.items()):
        local = brought(folder.system, path, scratch / "originals")
        if dialect is None and kind(local.name) in (*DELIMITED, *JSON):
            dialect = written(local, scratch)
        originals[name], parts[name] = local, scratch / f"{name}.parquet"
        to_parquet(local, parts[name], scratch, dialect)
    _alike(parts)
    known = dialect or Dialect()
    stem = named(address.partition("?")[0].rstrip("/").rpartition("/")[2]) if single else ""
    settings = {"address": _from_project(address)}
    if known.delimiter not in (None, ","):
        settings["delimiter"] = known.delimiter
    if known.decimal != ".":
        settings["decimal"] = known.decimal
    folder_name = address.rstrip("/").rpartition("/")[2]
    return Arrived("file" if single else "folder", stem or folder_name, parts, originals, settings)


def written(path: Path, scratch: Path) -> Dialect:
    """How a text file is written; the encoding is found out again for each."""
    if kind(path.name) in JSON:
        return Dialect()
    text = utf8(path, None, scratch)
    try:
        sign = dialects.delimiter(text)
        return Dialect(None, sign, dialects.decimal(text, sign))
    finally:
        if text != path:
            text.unlink()


def _is_folder(address: str) -> bool:
    return "://" not in address and Path(address).is_dir()


def _from_project(address: str) -> str:
    if "://" in address:
        return address
    place = Path(address).resolve()
    here = Path.cwd().resolve()
    return place.relative_to(here).as_posix() if place.is_relative_to(here) else place.as_posix()


def _alike(parts: dict[str, Path]) -> None:
    """Refuse files that do not hold the same columns."""
    first: tuple[str, set[str]] | None = None
    with duckdb.connect() as connection:
        for name, path in parts.items():
            described = connection.execute(f"DESCRIBE SELECT * FROM {all_of([path])}").fetchall()
            columns = {column for column, *_ in described}
            if first is None:
                first = name, columns
            elif odd := sorted(columns ^ first[1]):
                shown = ", ".join(map(repr, odd[:5]))
                raise Refusal(
                    f"{name} and {first[0]} do not have the same columns: {shown} in one only"
                )
