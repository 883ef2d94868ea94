"""The challenger's own log: what it answers to the rows that the champion has answered.

The prediction log holds all of them, so the challenger answers from there, whenever a command looks
at it.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import msgspec

from .. import files, paths, table
from ..features import maker
from ..monitoring import compact, layout
from ..monitoring.labels import SCORED
from ..serving.bundle import Model
from ..serving.predictor import Output
from ..serving.schema import HERE, BadRequest

BLOCK = 20_000  # rows of one file of this log


class ShadowLog:
    """Parquet files with id, time, key and both answers, some for each file of the prediction log.

    Only rows that the champion has answered from `since` on are in it.
    """

    def __init__(self, folder: Path, champion: Model, challenger: Model, since: datetime) -> None:
        self._folder = folder
        self._champion = champion.manifest
        self._challenger = challenger
        self._since = since.astimezone(UTC).isoformat()
        answer = "DOUBLE[]" if self._champion.task == "multiclass" else "DOUBLE"
        self._types = {
            "id": "VARCHAR",
            "at": "TIMESTAMPTZ",
            "key": "VARCHAR",
            "champion": answer,
            "challenger": answer,
            "difference": "DOUBLE",
            "version": "INTEGER",
        }

    def answer(self) -> None:
        """Answer the rows that have not been: each once, however often this is interrupted."""
        self._folder.mkdir(parents=True, exist_ok=True)
        for name, path in self._sources():
            done = self._folder / f"{name}.done"
            if not done.exists():
                self._answer(name, path)
                if path.suffix == ".parquet":  # which grows no more
                    done.touch()

    def parts(self) -> list[str]:
        """Its files."""
        return sorted(path.as_posix() for path in self._folder.glob("*.parquet"))

    def counts(self) -> tuple[int, int, float | None]:
        """Rows so far, those that the challenger has no answer to, and how far the two differ.

        For that see `serving.challenger.Challenger`.
        """
        if not (parts := self.parts()):
            return 0, 0, None
        with duckdb.connect() as connection:
            found = connection.execute(
                "SELECT count(*), count(*) - count(challenger), avg(difference) "
                "FROM read_parquet($parts) WHERE version = $version",
                {"parts": parts, "version": self._champion.version},
            ).fetchall()
        rows, without, difference = found[0]
        return int(rows), int(without), difference

    def rows(self, wanted: Sequence[str]) -> dict[str, list[Any]]:
        """The columns of the rows of these ids: those of requests, and what functions make."""
        found = dict[str, str]()
        for _, path in self._sources():
            with duckdb.connect() as connection:
                rows = connection.execute(
                    f"SELECT id, row::VARCHAR FROM {_read(path)} WHERE id IN (SELECT unnest($ids))",
                    {"ids": list(wanted)},
                )
                found |= dict(rows.fetchall())
        asked = [msgspec.json.decode(found[name]) for name in wanted]
        schema = self._challenger.schema
        columns = {one.name: [row.get(one.name) for row in asked] for one in schema.asked}
        for one in schema.columns:
            if one.function:
                make = maker(one.name, one.function, one.vocabulary is None, HERE)
                values = zip(*(columns[name] for name in one.of), strict=True)
                columns[one.name] = [make(*row) for row in values]
        return columns

    def _answer(self, name: str, path: Path) -> None:
        answered = sorted(self._folder.glob(f"{name}.*.parquet"))
        values = {
            "version": self._champion.version,
            "since": self._since,
            "key": f'$."{self._champion.key}"',
        }
        query = (
            f'SELECT id, "at"::VARCHAR, row->>$key, {SCORED[self._champion.task]}, label, '
            f"row::VARCHAR FROM {_read(path)} "
            'WHERE version = $version AND "at" >= $since::TIMESTAMPTZ AND id IS NOT NULL'
        )
        if answered:
            values |= {"parts": [part.as_posix() for part in answered]}
            query += " AND id NOT IN (SELECT id FROM read_parquet($parts))"
        number = len(answered)
        with duckdb.connect() as connection:
            found = connection.execute(query, values)
            while rows := found.fetchmany(BLOCK):
                self._write(self._folder / f"{name}.{number}.parquet", rows)
                number += 1

    def _write(self, path: Path, rows: list[tuple[Any, ...]]) -> None:
        names, times, keys, champion, labels, texts = zip(*rows, strict=True)
        challenger = self._told(texts)
        values = {
            "id": names,
            "at": times,
            "key": keys,
            "champion": champion,
            "challenger": challenger,
            "difference": map(self._difference, challenger, champion, labels),
            "version": [self._champion.version] * len(rows),
        }
        columns = ", ".join(
            f"unnest(${name}::{type_}[]) AS {table.quoted(name)}"
            for name, type_ in self._types.items()
        )
        with files.replacing(path) as aside, duckdb.connect() as connection:
            given = {name: list(column) for name, column in values.items()}
            connection.sql(f"SELECT {columns}", params=given).write_parquet(aside.as_posix())

    def _told(self, texts: Sequence[str]) -> list[Output | None]:
        """The answers to rows as the service would give them; None where it would refuse."""
        model, decode = self._challenger, self._challenger.schema.decode
        try:
            return list(model.predict([decode(text.encode()) for text in texts])[0])
        except BadRequest:
            if len(texts) == 1:
                return [None]
        return [answer for text in texts for answer in self._told([text])]

    def _difference(self, output: Any, champion: Any, label: str | None) -> float | None:
        if output is None:
            return None
        if self._champion.task == "regression":
            return abs(float(output) - float(champion))
        answers = self._challenger.answers
        return float(str(answers.counted(answers.told("", output, []))) != label)

    def _sources(self) -> list[tuple[str, Path]]:
        """The files of the prediction log that may hold such rows, by name, which is the day's."""
        log, day = paths.PREDICTIONS, self._since[: len("2024-05-01")]
        found = {path.stem: path for path in compact.still_open(log)}
        found |= {path.name.removesuffix(compact.PACKED): path for path in compact.packed(log)}
        return [(name, path) for name, path in sorted(found.items()) if name >= day]


def _read(path: Path) -> str:
    if path.suffix == ".jsonl":
        return layout.lines(layout.PREDICTIONS, [path])
    return layout.parquet([path])
