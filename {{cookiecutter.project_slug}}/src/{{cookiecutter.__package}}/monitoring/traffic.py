"""What one model version has answered: a bounded sample for drift, labelled answers for quality."""

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from .. import paths, table
from ..serving.bundle import Model
from . import compact, labels, layout
from .answered import Answered

if TYPE_CHECKING:
    import pandas as pd

# What of an answer is compared with the training data's.
WATCHED = {"binary": "probability", "multiclass": "label", "regression": "value"}
DOUBLES = 200_000  # rows among which those that were asked for before are counted


class Traffic:
    """What one model version has answered in the last days.

    Of a long log samples are drawn, so that time and memory do not grow with it; `log` is all of
    it, and `torn` counts its lines that do not parse.
    """

    def __init__(self, model: Model, window_days: float) -> None:
        self._manifest = model.manifest
        self._versions = (model.manifest.version,)
        since = datetime.now(UTC) - timedelta(days=window_days)
        self._since = int(since.timestamp() * 1000)
        self.log = Answered(model.manifest.key, model.manifest.time)
        self.torn = self.log.torn

    def count(self) -> int:
        """How many rows were answered."""
        return self.log.count(self._versions, self._since)

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
            f"{layout.field(name)}::{type_} AS {table.quoted(name)}"
            for name, type_ in types.items()
        )
        drawn = self.log.draw(rows, self._versions, self._since, seed)
        return self.log.connection.execute(
            f"SELECT {inputs}, {WATCHED[manifest.task]} AS {table.quoted(answer)} FROM "
            f'(SELECT * REPLACE ("row"::JSON AS "row") FROM {drawn} ORDER BY draw, id LIMIT {rows})'
        ).df()

    def repeated(self) -> float:
        """The share of rows with a key that are the same as another one in every column."""
        drawn = self.log.draw(DOUBLES, self._versions, self._since)
        found = self.log.connection.execute(
            "SELECT count(*), count(DISTINCT content) FILTER (NOT again) "
            f"FROM {drawn} WHERE content IS NOT NULL"
        ).fetchall()
        rows, distinct = found[0]
        return float(1 - distinct / rows) if rows else 0.0

    def labelled(self) -> list[tuple[float, Any]]:
        """Label and prediction of each answered row whose label is known by now.

        As `tasks` scores them: a class by its code. It is known when the row has arrived in the
        data under the same key, or else when the service was told by the prediction's id; labels
        come late, so however old the answer is. The oldest answer comes first. Of a log of more
        than `labels.ROWS` answers so many are looked at.
        """
        compact.feedback(paths.FEEDBACK)
        labels.join(self.log, self._manifest, self._versions)
        return self.log.connection.execute(
            'SELECT label, answer FROM known WHERE label IS NOT NULL ORDER BY "at", name'
        ).fetchall()

    def asked(self, rows: int, seed: int, since: datetime) -> list[tuple[float, Any, str]]:
        """The same with the row as it was sent, as JSON, of at most so many answers since then."""
        moment = int(since.timestamp() * 1000)
        compact.feedback(paths.FEEDBACK)
        labels.join(self.log, self._manifest, self._versions, moment)
        drawn = self.log.draw(labels.ROWS, self._versions, moment)
        return self.log.connection.execute(
            "WITH chosen AS (SELECT id, name, label, answer FROM known WHERE label IS NOT NULL "
            f"ORDER BY hash(name, {seed}), name LIMIT {rows}) "
            f'SELECT chosen.label, answer, "row"::VARCHAR FROM {drawn} AS drawn '
            'JOIN chosen USING (id) ORDER BY drawn."at", name'
        ).fetchall()
