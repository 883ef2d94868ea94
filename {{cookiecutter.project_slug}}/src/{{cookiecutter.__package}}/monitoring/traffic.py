"""Reading the prediction log: a bounded sample for drift, every labelled answer for quality."""

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import duckdb

from .. import paths, table
from ..serving.bundle import Model

if TYPE_CHECKING:
    import pandas as pd

# A line torn by a crash does not parse and is passed over.
LOG = (
    "read_json($log, format = 'newline_delimited', ignore_errors = true, columns = {"
    "'id': 'VARCHAR', 'at': 'TIMESTAMPTZ', 'version': 'INTEGER', 'probability': 'DOUBLE', "
    "'label': 'TINYINT', 'row': 'JSON'})"
)


class Traffic:
    """What one model version has answered in the last days."""

    def __init__(self, model: Model, window_days: float) -> None:
        self._manifest = model.manifest
        since = datetime.now(UTC) - timedelta(days=window_days)
        self._values: dict[str, Any] = {
            "log": (paths.PREDICTIONS / "*.jsonl").as_posix(),
            "version": model.manifest.version,
            "since": since.isoformat(),
        }
        self._logged = any(paths.PREDICTIONS.glob("*.jsonl"))
        self._ours = f"FROM {LOG} WHERE version = $version"
        self._where = f'{self._ours} AND "at" >= $since::TIMESTAMPTZ'

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
        """Label and probability of each answered row whose label has arrived since.

        Joined by the key, however old the answer: labels come late. Of a row asked for twice the
        last answer counts.
        """
        if not self._logged or not any(paths.RAW.glob("*.parquet")):
            return []
        key, target = table.quoted(self._manifest.key), table.quoted(self._manifest.target)
        values = {**self._values, "raw": (paths.RAW / "*.parquet").as_posix()}
        del values["since"]
        with duckdb.connect() as connection:
            return connection.execute(
                f"WITH answered AS (SELECT {_field(self._manifest.key)} AS key, "
                f'arg_max(probability, "at") AS probability {self._ours} GROUP BY 1) '
                f"SELECT {target}::INTEGER, probability FROM answered "
                f"JOIN read_parquet($raw) AS raw ON raw.{key}::VARCHAR = answered.key "
                f"WHERE {target} IS NOT NULL",
                values,
            ).fetchall()


def _field(name: str) -> str:
    path = name.replace("\\", "\\\\").replace('"', '\\"').replace("'", "''")
    return f"""(row->>'$."{path}"')"""
