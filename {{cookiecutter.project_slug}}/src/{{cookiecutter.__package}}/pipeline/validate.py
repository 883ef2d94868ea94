"""Stage 3: hold every raw partition to the schema before anything is learnt from it."""

import math
from pathlib import Path
from typing import Any

from .. import config, files, paths, table
from ..cli import Refusal, run

NUMBERS = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT", "FLOAT", "DOUBLE", "DECIMAL")
UNSIGNED = ("UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT", "UHUGEINT")


def profile(path: Path, data: config.Data) -> dict[str, Any]:
    """What one partition holds: rows, duplicates, labels, and each column's missing and range."""
    source = path.as_posix()
    types = dict(row[:2] for row in table.rows("DESCRIBE SELECT * FROM read_parquet(?)", source))
    roles = data.roles
    absent = [n for n in (roles.key, roles.time, roles.target, *data.columns) if n not in types]
    if absent:
        return {"absent": absent}
    key, target = table.quoted(roles.key), table.quoted(roles.target)
    label = f"TRY_CAST({target} AS DOUBLE)"
    measures = [
        f"count(*), count({key}) - count(DISTINCT {key}) + count(*) FILTER ({key} IS NULL)",
        f"count(*) FILTER ({target} IS NULL)",
        f"count({target}) - count(*) FILTER ({label} IN (0, 1))",
    ]
    for name, rule in data.columns.items():
        number = rule.type == "numeric" and types[name].startswith(NUMBERS + UNSIGNED)
        column = table.as_number(name) if number else table.quoted(name)
        span = f"min({column}), max({column})" if number else "NULL, NULL"
        measures.append(f"count(*) - count({column}), {span}")
    (found,) = table.rows(f"SELECT {', '.join(measures)} FROM read_parquet(?)", source)
    count, duplicates, unlabelled, mislabelled, *rest = found
    return {
        "rows": count,
        "duplicates": duplicates,
        "unlabelled": unlabelled,
        "mislabelled": mislabelled,
        "columns": {
            name: {"type": types[name], "missing": missing, "min": low, "max": high}
            for name, (missing, low, high) in zip(
                data.columns, zip(*[iter(rest)] * 3, strict=True), strict=True
            )
        },
    }


def problems(found: dict[str, Any], data: config.Data) -> list[str]:
    """What in a profile breaks the schema, one clause each; empty when nothing does."""
    if "absent" in found:
        return [f"has no column {', '.join(map(repr, found['absent']))}"]
    count = found["rows"]
    if not count:
        return ["has no rows"]
    broken = []
    if found["duplicates"]:
        broken.append(f"{found['duplicates']} rows repeat or lack a {data.roles.key!r}")
    if found["mislabelled"]:
        broken.append(f"{found['mislabelled']} values of {data.roles.target!r} are neither 0 nor 1")
    if found["unlabelled"] > data.max_unlabelled * count:
        broken.append(
            f"{found['unlabelled'] / count:.0%} of {data.roles.target!r} is missing, "
            f"more than max_unlabelled {data.max_unlabelled:.0%}"
        )
    for name, rule in data.columns.items():
        column = found["columns"][name]
        if column["missing"] > rule.missing * count:
            broken.append(
                f"{column['missing'] / count:.1%} of {name!r} is missing, "
                f"more than its limit {rule.missing:.1%}"
            )
        if rule.type != "numeric":
            continue
        if not column["type"].startswith(NUMBERS + UNSIGNED):
            broken.append(f"{name!r} is {column['type']}, not numeric")
            continue
        low, high = column["min"], column["max"]
        if low is None:
            continue
        if not (math.isfinite(low) and math.isfinite(high)):
            broken.append(f"{name!r} holds an infinity")
            continue
        if rule.min is not None and low < rule.min:
            broken.append(f"{name!r} goes down to {low:g}, below its min {rule.min:g}")
        if rule.max is not None and high > rule.max:
            broken.append(f"{name!r} goes up to {high:g}, above its max {rule.max:g}")
    return broken


def main() -> None:
    """Write the columns and the profile of each partition; refuse data that breaks the schema."""
    data = config.read("data", config.Data)
    profiles = {path.stem: profile(path, data) for path in sorted(paths.RAW.glob("*.parquet"))}
    broken = [
        f"{partition} {clause}"
        for partition, found in profiles.items()
        for clause in problems(found, data)
    ]
    if broken:
        raise Refusal(f"{paths.RAW} breaks the schema of conf/data/: " + "; ".join(broken))
    kinds = {name: column.type for name, column in data.columns.items()}
    files.write_json(paths.VALIDATION, {"columns": kinds, "partitions": profiles})
    print(f"{sum(found['rows'] for found in profiles.values())} rows keep the schema")


if __name__ == "__main__":
    run(main)
