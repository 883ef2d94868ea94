"""Which rows that champion and challenger have both answered have a label by now."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import duckdb
import numpy as np

from .. import paths, table
from ..monitoring.labels import feedback
from ..pipeline.evaluate import named_values
from ..serving.bundle import Manifest
from .paired import Pair

Labelled = tuple[str, float, Any, Any, str, float]  # id, label, champion, challenger, group, time


def labelled(
    parts: list[str], old: Manifest, new: Manifest, group: str | None, most: int
) -> list[Labelled]:
    """The rows of a shadow log whose label is known; of more than `most` so many, spread evenly.

    Of a row asked for twice the last answer counts. Labels are joined as `monitoring.traffic`
    does, but rows in partitions that either model was trained on, or that the challenger has
    been judged on, are left out: they would prove nothing.
    """
    if not parts:
        return []
    seen = {*old.trained_on, *new.trained_on, *new.judged_on}
    raw = sorted(paths.RAW.glob("*.parquet"))
    values: dict[str, Any] = {"parts": parts, "version": old.version}
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
    if union := feedback():
        code = table.as_code("label", new.classes)
        told = f'(SELECT id AS name, arg_max({code}, "at") AS label FROM ({union}) GROUP BY id)'
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


def pair(
    labelled: Sequence[Labelled], rows: Mapping[str, Sequence[Any]], group: str | None
) -> Pair:
    """Labels and both models' answers; `rows` tells the group where it is asked for."""
    _, labels, champion, challenger, members, _ = map(np.array, zip(*labelled, strict=True))
    if group is None:
        return Pair(labels, challenger, champion)
    groups = named_values(rows[group]) if group in rows else members
    return Pair(labels, challenger, champion, groups)


def _names(found: Sequence[Path]) -> list[str]:
    return [path.as_posix() for path in found]
