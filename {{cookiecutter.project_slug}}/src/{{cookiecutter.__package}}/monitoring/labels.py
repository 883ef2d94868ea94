"""What turned out to be true of answers: joined by key when the data have it, or by answer's id."""

from collections.abc import Collection

from .. import paths, table
from ..serving.bundle import Manifest
from . import compact, layout
from .answered import Answered

# What is held against the truth.
SCORED = {"binary": "probability", "multiclass": "probabilities", "regression": "value"}
ROWS = 200_000  # of a longer log so many answers are drawn, and their labels looked for
NONE = "SELECT NULL::VARCHAR AS id, NULL::DOUBLE AS label LIMIT 0"


def join(log: Answered, manifest: Manifest, versions: Collection[int], since: int = 0) -> None:
    """Make the table `known` in the log's database: a sample of the answers, with their labels.

    Columns are name, version, "at", time (the row's own, a text), answer, and label as `tasks`
    scores it, NULL as long as it is not known. The label in the data counts more than the one told.
    Of a row asked for twice the last answer counts.
    """
    execute = log.connection.execute
    last = "draw = md5_number_lower(coalesce(key, id))"  # of a name in one file
    every = log.share(ROWS, versions, since) == 1
    execute(
        'CREATE OR REPLACE TEMP TABLE drawn AS SELECT id, key, coalesce(key, id) AS name, "at", '
        f"version, time, {SCORED[manifest.task]} AS answer FROM {log.draw(ROWS, versions, since)} "
        f"WHERE {every} OR {last}"
    )
    execute(f"CREATE OR REPLACE TEMP TABLE arrived AS {_arrived(manifest)}")
    execute(f"CREATE OR REPLACE TEMP TABLE told AS {_told(manifest)}")
    execute(
        "CREATE OR REPLACE TEMP TABLE known AS WITH labelled AS (SELECT drawn.*, "
        "coalesce(arrived.label, told.label) AS label FROM drawn "
        "LEFT JOIN arrived USING (id) LEFT JOIN told USING (id)) SELECT * FROM labelled QUALIFY "
        'row_number() OVER (PARTITION BY name ORDER BY label IS NULL, "at" DESC, id) = 1'
    )


def _arrived(manifest: Manifest) -> str:
    found = sorted(paths.RAW.glob("*.parquet"))
    if not found:
        return NONE
    key = table.quoted(manifest.key)
    target = table.as_code(table.quoted(manifest.target), manifest.classes)
    return (
        "SELECT id, any_value(label)::DOUBLE AS label FROM drawn JOIN "
        f"(SELECT {key}::VARCHAR AS key, {target} AS label FROM {layout.parquet(found)}) "
        "USING (key) WHERE label IS NOT NULL GROUP BY id"
    )


def feedback() -> str:
    """All that was told of answers, as a query for id, "at" and label; empty when there is none."""
    finished, still_open = compact.packed(paths.FEEDBACK), compact.still_open(paths.FEEDBACK)
    sources = [layout.parquet(finished)] * bool(finished)
    sources += [layout.lines(layout.FEEDBACK, still_open)] * bool(still_open)
    return " UNION ALL ".join(f'SELECT id, "at", label FROM {source}' for source in sources)


def _told(manifest: Manifest) -> str:
    if not (union := feedback()):
        return NONE
    code = table.as_code("told.label", manifest.classes)
    return (
        f'SELECT id, arg_max({code}, told."at")::DOUBLE AS label FROM drawn '
        f"JOIN ({union}) AS told USING (id) GROUP BY id"
    )
