"""A prediction log of any length, as a project's service and monitor leave it after many days.

`python -m benchmarks.logged <package> <folder> <predictions> <days>` runs in a project's
environment and folder. It makes a folder to run the monitor in: the champion's bundle, a log whose
rows are real flights answered by the champion, each under a key of its own, and some labels.
"""

import shutil
import sys
from datetime import UTC, datetime, timedelta
from importlib import import_module
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd

LINE = 95_000  # lines of a file of 64 MB, after which the service begins another
TWICE = 0.02  # of the rows are asked for again in the next file
ARRIVED = 0.3  # of the rows have labels in the data
TOLD = 0.01  # of the answers have labels by feedback

RECORD = """
SELECT replace(uuid()::VARCHAR, '-', '') || '-0' AS id,
  to_timestamp($begin + $seconds * random()) AS "at",
  $version AS version, probability, label, NULL::DOUBLE[] AS probabilities, NULL::DOUBLE AS value,
  json_merge_patch(row, json_object($key, flight || '-' || $file)) AS row
FROM (FROM base ORDER BY hash(flight || $file) LIMIT $rows)
"""


def main(package: str, folder: str, predictions: str, days: str) -> None:
    """Write everything below the folder, which is made anew."""

    def load(name: str) -> Any:
        return import_module(f"{package}.{name}")

    compact, layout = load("monitoring.compact"), load("monitoring.layout")
    paths, bundle, champion = load("paths"), load("serving.bundle"), load("serving.champion")
    here = Path(folder)
    shutil.rmtree(here, ignore_errors=True)
    for needed in ("data/raw", "var/predictions", "var/feedback"):
        (here / needed).mkdir(parents=True)
    for name in (paths.PARAMS, paths.SCHEMA):
        shutil.copy(name, here / name)
    shutil.copytree(paths.BUNDLES, here / "var/bundles")
    model = bundle.Model(paths.BUNDLES / champion.read_pointer(paths.BUNDLES).bundle)
    manifest = model.manifest
    connection = duckdb.connect(config={"memory_limit": "4GB"})
    base(connection, model, sorted(paths.RAW.glob("*.parquet")))
    total, log = int(predictions), here / "var/predictions"
    a_day = total / int(days)
    files = max(1, round(a_day / LINE))
    today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    for number in range(int(days) * files):
        age, part = int(days) - 1 - number // files, number % files
        day = today - timedelta(days=age)
        name = f"{day:%Y-%m-%d}.1-a.{number}"
        seconds = (datetime.now(UTC) - day).total_seconds() if not age else 86400.0
        values: dict[str, Any] = {
            "begin": day.timestamp() + seconds * part / files,
            "seconds": seconds / files,
            "version": manifest.version,
            "key": manifest.key,
            "file": str(number),
            "rows": round(a_day / files),
        }
        connection.execute(f"CREATE OR REPLACE TABLE answered AS {RECORD}", values)
        if number:
            connection.execute(
                "INSERT INTO answered SELECT replace(uuid()::VARCHAR, '-', '') || '-0', "
                'to_timestamp($begin + $seconds * random()), * EXCLUDE (id, "at") FROM again',
                {name: values[name] for name in ("begin", "seconds")},
            )
        connection.execute(
            f"CREATE OR REPLACE TABLE again AS FROM answered WHERE random() < {TWICE}"
        )
        if age < 2:  # the last finished day is still to be packed, and today goes on
            lines(connection, log / f"{name}.jsonl")
        else:
            query = layout.answers("answered", manifest.key, manifest.time)
            compact.write(connection, query, log / f"{name}{compact.PACKED}")
        known(connection, here, manifest, number, name)
        print(f"{name}: {values['rows']} rows", flush=True)


def base(connection: Any, model: Any, raw: list[Path]) -> None:
    """The table `base`: real rows as the service logs them, with the champion's answers."""
    manifest = model.manifest
    names = [manifest.key, manifest.time, *(c.name for c in model.schema.asked), manifest.target]
    listed = ", ".join(f'"{name}"' for name in dict.fromkeys(names))
    query = f'SELECT {listed} FROM read_parquet($raw) WHERE "{manifest.target}" IS NOT NULL'
    values = {"raw": [path.as_posix() for path in raw]}
    columns = zip(*connection.execute(query, values).fetchall(), strict=True)
    rows = dict(zip(dict.fromkeys(names), map(list, columns), strict=True))
    answers = model.predict_columns({c.name: rows[c.name] for c in model.schema.asked})
    connection.register("told", pd.DataFrame({"probability": answers}))
    connection.execute(f"CREATE TABLE found AS FROM ({query}) POSITIONAL JOIN told", values)
    row = ", ".join(f'"{name}" := "{name}"' for name in dict.fromkeys(names[:-1]))
    connection.execute(
        f'CREATE TABLE base AS SELECT "{manifest.key}" AS flight, "{manifest.target}" AS truth, '
        "probability, (probability >= 0.5)::INTEGER::VARCHAR AS label, "
        f"to_json(struct_pack({row})) AS row FROM found"
    )


def lines(connection: Any, path: Path) -> None:
    """Write the table `answered` as the service writes its log."""
    connection.execute(
        'COPY (SELECT id, strftime("at", \'%Y-%m-%dT%H:%M:%S.%fZ\') AS "at", version, '
        f'probability, label::INTEGER AS label, row FROM answered ORDER BY "at") '
        f"TO '{path}' (FORMAT json)"
    )


def known(connection: Any, here: Path, manifest: Any, number: int, name: str) -> None:
    """Write labels of a part of the table `answered`: as data, and as feedback."""
    key = f"""answered.row->>'$."{manifest.key}"'"""
    raw, feedback = here / f"data/raw/{number:06d}.parquet", here / f"var/feedback/{name}.jsonl"
    truth = f"answered JOIN base ON {key} = flight || '-{number}'"
    connection.execute(
        f'COPY (SELECT {key} AS "{manifest.key}", truth AS "{manifest.target}" FROM {truth} '
        f"WHERE hash(flight) % 100 < {100 * ARRIVED}) TO '{raw}' (FORMAT parquet)"
    )
    connection.execute(
        'COPY (SELECT id, strftime("at" + INTERVAL 1 DAY, \'%Y-%m-%dT%H:%M:%S.%fZ\') AS "at", '
        f"truth AS label FROM {truth} WHERE hash(id) % 1000 < {1000 * TOLD}) "
        f"TO '{feedback}' (FORMAT json)"
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
