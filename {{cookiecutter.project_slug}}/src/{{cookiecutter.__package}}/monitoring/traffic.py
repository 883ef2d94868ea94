"""Reading the prediction log: a bounded sample for drift, every labelled answer for quality."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb

from .. import paths, table
from ..serving.bundle import Model
from .compact import READ, torn

if TYPE_CHECKING:
    import pandas as pd

TOLD = (
    "read_json($feedback, format = 'newline_delimited', ignore_errors = true, columns = "
    "{'id': 'VARCHAR', 'at': 'TIMESTAMPTZ', 'label': 'VARCHAR'})"
)


# What of an answer is compared with the training data's, and what is held against the truth.
WATCHED = {"binary": "probability", "multiclass": "label", "regression": "value"}
SCORED = {"binary": "probability", "multiclass": "probabilities", "regression": "value"}


class Traffic:
    """What one model version has answered in the last days.

    `torn` counts the lines of the log that do not parse.
    """

    def __init__(self, model: Model, window_days: float) -> None:
        self._manifest = model.manifest
        since = datetime.now(UTC) - timedelta(days=window_days)
        packed = sorted(paths.PREDICTIONS.glob("*.parquet"))
        plain = sorted({*paths.PREDICTIONS.glob("*.jsonl")} - {_plain(path) for path in packed})
        self.torn = torn(plain)
        self._values: dict[str, Any] = {"version": model.manifest.version}
        sources = []
        if plain:
            self._values["log"] = _names(plain)
            sources.append(f"SELECT * FROM {READ}")
        if packed:
            self._values["packed"] = _names(packed)
            sources.append("SELECT * REPLACE (row::JSON AS row) FROM read_parquet($packed)")
        self._logged = bool(sources)
        self._ours = f"FROM ({' UNION ALL BY NAME '.join(sources)}) WHERE version = $version"
        self._where = f'{self._ours} AND "at" >= {since.isoformat()!r}::TIMESTAMPTZ'

    def count(self) -> int:
        """How many rows were answered."""
        if not self._logged:
            return 0
        with duckdb.connect() as connection:
            found = connection.execute(f"SELECT count(*) {self._where}", self._values).fetchall()
        return int(found[0][0])

    def sample(self, rows: int, seed: int, answer: str) -> "pd.DataFrame":
        """At most so many rows: the inputs and the time as columns, the answers as named."""
        manifest = self._manifest
        types = {
            column.name: "DOUBLE" if column.vocabulary is None else "VARCHAR"
            for column in manifest.columns
            if not column.function
        }
        if manifest.time:
            types.setdefault(manifest.time, "VARCHAR")
        inputs = ", ".join(
            f"{_field(name)}::{type_} AS {table.quoted(name)}" for name, type_ in types.items()
        )
        watched = WATCHED[self._manifest.task]
        with duckdb.connect() as connection:
            return connection.execute(
                f"SELECT * FROM (SELECT {inputs}, {watched} AS {table.quoted(answer)} "
                f"{self._where}) USING SAMPLE reservoir({rows} ROWS) REPEATABLE ({seed})",
                self._values,
            ).df()

    def repeated(self) -> float:
        """The share of rows with a key that are the same as an earlier one in every column."""
        if not self._logged:
            return 0.0
        key = _field(self._manifest.key)
        with duckdb.connect() as connection:
            found = connection.execute(
                "SELECT count(*), count(DISTINCT md5(row::VARCHAR)) "
                f"{self._where} AND {key} IS NOT NULL",
                self._values,
            ).fetchall()
        rows, distinct = found[0]
        return float(1 - distinct / rows) if rows else 0.0

    def labelled(self) -> list[tuple[float, Any]]:
        """Label and prediction of each answered row whose label is known by now.

        As `tasks` scores them: a class by its code.

        It is known when the row has arrived in the data under the same key, or else when the
        service was told by the prediction's id; labels come late, so however old the answer is. Of
        a row asked for twice the last answer counts. The oldest answer comes first.
        """
        known, values = self._known()
        if not known:
            return []
        with duckdb.connect() as connection:
            return connection.execute(
                f'{known} SELECT arg_max(label, "at"), arg_max(answer, "at") FROM known '
                'WHERE label IS NOT NULL GROUP BY name ORDER BY max("at"), name',
                values,
            ).fetchall()

    def asked(self, rows: int, seed: int, since: datetime) -> list[tuple[float, Any, str]]:
        """The same with the row as it was sent, as JSON, of at most so many answers since then."""
        known, values = self._known()
        if not known:
            return []
        with duckdb.connect() as connection:
            return connection.execute(
                f'{known}, chosen AS (SELECT arg_max(id, "at") AS id, max("at") AS "at", '
                f'arg_max(label, "at") AS label FROM known WHERE label IS NOT NULL AND "at" >= '
                f"{since.isoformat()!r}::TIMESTAMPTZ GROUP BY name "
                f"ORDER BY hash(name, {seed}), name LIMIT {rows}) "
                f"SELECT chosen.label, {SCORED[self._manifest.task]}, row::VARCHAR "
                f'FROM (SELECT * {self._ours}) JOIN chosen USING (id, "at") ORDER BY "at", id',
                values,
            ).fetchall()

    def _known(self) -> tuple[str, dict[str, Any]]:
        """Every answer, with its label where that is known, as SQL; empty when there are none."""
        arrived, told = sorted(paths.RAW.glob("*.parquet")), sorted(paths.FEEDBACK.glob("*.jsonl"))
        if not self._logged or not (arrived or told):
            return "", {}
        values = dict(self._values)
        raw = feedback = "(SELECT NULL AS row_key, NULL AS label LIMIT 0)"
        if arrived:
            key = table.quoted(self._manifest.key)
            target = table.as_code(table.quoted(self._manifest.target), self._manifest.classes)
            values["raw"] = _names(arrived)
            raw = f"(SELECT {key}::VARCHAR AS row_key, {target} AS label FROM read_parquet($raw))"
        if told:
            values["feedback"] = _names(told)
            feedback = (
                f"(SELECT id AS row_key, arg_max({table.as_code('label', self._manifest.classes)}, "
                f'"at") AS label FROM {TOLD} GROUP BY id)'
            )
        known = (
            f"WITH answered AS (SELECT id, {_field(self._manifest.key)} AS row_key, "
            f'{SCORED[self._manifest.task]} AS answer, "at" {self._ours}), '
            "known AS (SELECT coalesce(answered.row_key, id) AS name, id, answer, "
            'coalesce(raw.label, told.label) AS label, "at" FROM answered '
            f"LEFT JOIN {raw} AS raw ON raw.row_key = answered.row_key "
            f"LEFT JOIN {feedback} AS told ON told.row_key = id)"
        )
        return known, values


def _names(found: list[Path]) -> list[str]:
    return [path.as_posix() for path in found]


def _plain(packed: Path) -> Path:
    return packed.with_suffix(".jsonl")


def _field(name: str) -> str:
    path = name.replace("\\", "\\\\").replace('"', '\\"').replace("'", "''")
    return f"""(row->>'$."{path}"')"""
