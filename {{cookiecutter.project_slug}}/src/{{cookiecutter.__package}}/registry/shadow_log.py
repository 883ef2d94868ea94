"""The challenger's own log: what it answers to the champion's rows, and which of them have a label.

The prediction log holds every row that the champion has answered, so the challenger answers them
from there, whenever a command looks at it.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import msgspec
import numpy as np

from .. import files, paths, table
from ..features import maker
from ..monitoring.compact import READ
from ..monitoring.traffic import SCORED, TOLD
from ..pipeline.evaluate import named_values
from ..serving.bundle import Model
from ..serving.predictor import Output
from ..serving.schema import HERE, BadRequest
from .paired import Pair

BLOCK = 20_000  # rows of one file of this log
Labelled = tuple[str, float, Any, Any, str, float]  # id, label, champion, challenger, group, time


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
        for path in self._sources():
            done = self._folder / f"{path.stem}.done"
            if not done.exists():
                self._answer(path)
                if path.suffix == ".parquet":  # which grows no more
                    done.touch()

    def counts(self) -> tuple[int, int, float | None]:
        """Rows so far, those that the challenger has no answer to, and how far the two differ.

        For that see `serving.challenger.Challenger`.
        """
        if not (parts := self._parts()):
            return 0, 0, None
        with duckdb.connect() as connection:
            found = connection.execute(
                "SELECT count(*), count(*) - count(challenger), avg(difference) "
                "FROM read_parquet($parts) WHERE version = $version",
                {"parts": parts, "version": self._champion.version},
            ).fetchall()
        rows, without, difference = found[0]
        return int(rows), int(without), difference

    def labelled(self, group: str | None, most: int) -> list[Labelled]:
        """The rows whose label is known; of more than `most` so many, spread evenly over all.

        Of a row asked for twice the last answer counts. Labels are joined as `monitoring.traffic`
        does, but rows in partitions that either model was trained on, or that the challenger has
        been judged on, are left out: they would prove nothing.
        """
        if not (parts := self._parts()):
            return []
        new = self._challenger.manifest
        seen = {*self._champion.trained_on, *new.trained_on, *new.judged_on}
        raw = sorted(paths.RAW.glob("*.parquet"))
        values: dict[str, Any] = {"parts": parts, "version": self._champion.version}
        sides = dict.fromkeys(("fresh", "old"), "(SELECT NULL AS key, 0 AS label, '' AS member)")
        member = f"{table.quoted(group)}::VARCHAR" if group else "NULL"
        code = table.as_code(table.quoted(new.target), new.classes)
        for name, side in (
            ("fresh", [path for path in raw if path.stem not in seen]),
            ("old", [path for path in raw if path.stem in seen]),
        ):
            if side:
                values[name] = _names(side)
                sides[name] = (
                    f"(SELECT {table.quoted(new.key)}::VARCHAR AS key, {code} AS label, "
                    f"{member} AS member FROM read_parquet(${name}))"
                )
        told = "(SELECT NULL AS name, 0 AS label)"
        if feedback := _names(paths.FEEDBACK.glob("*.jsonl")):
            values["feedback"] = feedback
            code = table.as_code("label", new.classes)
            told = f'(SELECT id AS name, arg_max({code}, "at") AS label FROM {TOLD} GROUP BY id)'
        with duckdb.connect() as connection:
            return connection.execute(
                'WITH answered AS (SELECT id, key, "at", champion, challenger, member, '
                "coalesce(fresh.label, told.label) AS label "
                "FROM (FROM read_parquet($parts) WHERE version = $version) "
                f"LEFT JOIN {sides['fresh']} AS fresh USING (key) "
                f"LEFT JOIN {told} AS told ON name = id), "
                'once AS (SELECT arg_max(answered, "at") AS one FROM answered '
                "WHERE challenger IS NOT NULL AND label IS NOT NULL AND (key IS NULL OR "
                f"key NOT IN (SELECT key FROM {sides['old']} WHERE key IS NOT NULL)) "
                "GROUP BY coalesce(key, id)) SELECT one.id, one.label, one.champion, "
                "one.challenger, coalesce(one.member, one.id), epoch(one.at) FROM once "
                f"ORDER BY md5(one.id) LIMIT {most}",
                values,
            ).fetchall()

    def rows(self, labelled: Sequence[Labelled]) -> dict[str, list[Any]]:
        """The columns of these rows: those of the request, and what functions make of them."""
        wanted, found = [one[0] for one in labelled], dict[str, str]()
        for path in self._sources():
            with duckdb.connect() as connection:
                query = f"SELECT id, row::VARCHAR FROM {_read(path)} WHERE list_contains($ids, id)"
                rows = connection.execute(query, {"log": path.as_posix(), "ids": wanted})
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

    def _answer(self, path: Path) -> None:
        answered = sorted(self._folder.glob(f"{path.stem}.*.parquet"))
        values = {
            "log": path.as_posix(),
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
            values |= {"parts": _names(answered)}
            query += " AND id NOT IN (SELECT id FROM read_parquet($parts))"
        number = len(answered)
        with duckdb.connect() as connection:
            found = connection.execute(query, values)
            while rows := found.fetchmany(BLOCK):
                self._write(self._folder / f"{path.stem}.{number}.parquet", rows)
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

    def _parts(self) -> list[str]:
        return _names(self._folder.glob("*.parquet"))

    def _sources(self) -> list[Path]:
        """The files of the prediction log that may hold such rows; their names begin with a day."""
        plain = {path.stem: path for path in paths.PREDICTIONS.glob("*.jsonl")}
        packed = {path.stem: path for path in paths.PREDICTIONS.glob("*.parquet")}
        day = self._since[: len("2024-05-01")]
        return [path for stem, path in sorted((plain | packed).items()) if stem >= day]


def pair(
    labelled: Sequence[Labelled], rows: Mapping[str, Sequence[Any]], group: str | None
) -> Pair:
    """Labels and both models' answers; `rows` tells the group where it is asked for."""
    _, labels, champion, challenger, members, _ = map(np.array, zip(*labelled, strict=True))
    if group is None:
        return Pair(labels, challenger, champion)
    groups = named_values(rows[group]) if group in rows else members
    return Pair(labels, challenger, champion, groups)


def _read(path: Path) -> str:
    return READ if path.suffix == ".jsonl" else "read_parquet($log)"


def _names(found: Iterable[Path]) -> list[str]:
    return sorted(path.as_posix() for path in found)
