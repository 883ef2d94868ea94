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
    "{'id': 'VARCHAR', 'at': 'TIMESTAMPTZ', 'label': 'TINYINT'})"
)


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
        self._ours = f"FROM ({' UNION ALL '.join(sources)}) WHERE version = $version"
        self._where = f'{self._ours} AND "at" >= {since.isoformat()!r}::TIMESTAMPTZ'

    def count(self) -> int:
        """How many rows were answered."""
        if not self._logged:
            return 0
        with duckdb.connect() as connection:
            found = connection.execute(f"SELECT count(*) {self._where}", self._values).fetchall()
        return int(found[0][0])

    def sample(self, rows: int, seed: int) -> "pd.DataFrame":
        """At most so many rows, with the inputs as columns and the answer as `prediction`."""
        inputs = ", ".join(
            f"{_field(column.name)}{'::DOUBLE' if column.vocabulary is None else ''} "
            f"AS {table.quoted(column.name)}"
            for column in self._manifest.columns
        )
        with duckdb.connect() as connection:
            return connection.execute(
                f"SELECT * FROM (SELECT {inputs}, probability AS prediction {self._where}) "
                f"USING SAMPLE reservoir({rows} ROWS) REPEATABLE ({seed})",
                self._values,
            ).df()

    def labelled(self) -> list[tuple[int, float]]:
        """Label and probability of each answered row whose label is known by now.

        It is known when the row has arrived in the data under the same key, or else when the
        service was told by the prediction's id; labels come late, so however old the answer is. Of
        a row asked for twice the last answer counts.
        """
        arrived, told = sorted(paths.RAW.glob("*.parquet")), sorted(paths.FEEDBACK.glob("*.jsonl"))
        if not self._logged or not (arrived or told):
            return []
        values = dict(self._values)
        raw = feedback = "(SELECT NULL AS row_key, NULL AS label LIMIT 0)"
        if arrived:
            key, target = table.quoted(self._manifest.key), table.quoted(self._manifest.target)
            values["raw"] = _names(arrived)
            raw = (
                f"(SELECT {key}::VARCHAR AS row_key, {target}::INTEGER AS label "
                "FROM read_parquet($raw))"
            )
        if told:
            values["feedback"] = _names(told)
            feedback = (
                f'(SELECT id AS row_key, arg_max(label, "at") AS label FROM {TOLD} GROUP BY id)'
            )
        with duckdb.connect() as connection:
            return connection.execute(
                f"WITH answered AS (SELECT id, {_field(self._manifest.key)} AS row_key, "
                f'probability, "at" {self._ours}), '
                "known AS (SELECT coalesce(answered.row_key, id) AS name, probability, "
                'coalesce(raw.label, told.label) AS label, "at" FROM answered '
                f"LEFT JOIN {raw} AS raw ON raw.row_key = answered.row_key "
                f"LEFT JOIN {feedback} AS told ON told.row_key = id) "
                'SELECT arg_max(label, "at"), arg_max(probability, "at") FROM known '
                "WHERE label IS NOT NULL GROUP BY name",
                values,
            ).fetchall()


def _names(found: list[Path]) -> list[str]:
    return [path.as_posix() for path in found]


def _plain(packed: Path) -> Path:
    return packed.with_suffix(".jsonl")


def _field(name: str) -> str:
    path = name.replace("\\", "\\\\").replace('"', '\\"').replace("'", "''")
    return f"""(row->>'$."{path}"')"""
