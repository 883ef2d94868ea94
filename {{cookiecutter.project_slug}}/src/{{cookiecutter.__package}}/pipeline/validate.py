"""Stage 3: hold every raw partition to the schema before anything is learnt from it."""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from .. import config, files, paths, table
from ..cli import Refusal, run


def profile(path: Path, data: config.Data) -> dict[str, Any]:
    """What one partition holds: rows, duplicates, labels, and each column's missing and range."""
    source = path.as_posix()
    types = dict(row[:2] for row in table.rows("DESCRIBE SELECT * FROM read_parquet(?)", source))
    roles = data.roles
    named = [name for name in (roles.key, roles.time, roles.target, roles.group) if name]
    absent = [name for name in (*named, *data.asked) if name not in types]
    if absent:
        return {"absent": absent}
    key, target = table.quoted(roles.key), table.quoted(roles.target)
    measures = [
        f"count(*), count({key}) - count(DISTINCT {key}) + count(*) FILTER ({key} IS NULL)",
        f"count(*) FILTER ({target} IS NULL)",
        f"count({target}) - count({table.as_code(target, data.classes)})",
    ]
    for name, rule in data.asked.items():
        column = table.quoted(name)
        number = table.as_number(name) if rule.type == "numeric" else column
        span = f"min({number}), max({number})" if rule.type == "numeric" else "NULL, NULL"
        nan = f"count(*) FILTER (isnan(TRY_CAST({column} AS DOUBLE)))"
        unread = f"count({column}) - count({number}) - {nan}" if rule.type == "numeric" else "0"
        measures.append(f"count(*) - count({number}), {unread}, {span}")
    (found,) = table.rows(f"SELECT {', '.join(measures)} FROM read_parquet(?)", source)
    count, duplicates, unlabelled, mislabelled, *rest = found
    return {
        "rows": count,
        "duplicates": duplicates,
        "unlabelled": unlabelled,
        "mislabelled": mislabelled,
        "columns": {
            name: {
                "type": types[name],
                "missing": missing,
                "unread": unread,
                "min": low,
                "max": high,
            }
            for name, (missing, unread, low, high) in zip(
                data.asked, zip(*[iter(rest)] * 4, strict=True), strict=True
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
        allowed = ", ".join(map(repr, data.classes or ["a number"]))
        broken.append(
            f"{found['mislabelled']} values of {data.roles.target!r} are none of: {allowed}"
        )
    if found["unlabelled"] > data.max_unlabelled * count:
        broken.append(
            f"{found['unlabelled'] / count:.0%} of {data.roles.target!r} is missing, "
            f"more than max_unlabelled {data.max_unlabelled:.0%}"
        )
    for name, rule in data.asked.items():
        broken += _column_problems(name, rule, found["columns"][name], count)
    return broken


def _column_problems(
    name: str, rule: config.Column, column: dict[str, Any], count: int
) -> Iterator[str]:
    if column["missing"] > rule.missing * count:
        unread = f" ({column['unread']} are no numbers)" if column["unread"] else ""
        yield (
            f"{column['missing'] / count:.1%} of {name!r} is missing{unread}, "
            f"more than its limit {rule.missing:.1%}"
        )
    low, high = column["min"], column["max"]
    if low is None:
        return
    if not (math.isfinite(low) and math.isfinite(high)):
        yield f"{name!r} holds an infinity"
        return
    if rule.min is not None and low < rule.min:
        yield f"{name!r} goes down to {low:g}, below its min {rule.min:g}"
    if rule.max is not None and high > rule.max:
        yield f"{name!r} goes up to {high:g}, above its max {rule.max:g}"


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
    columns = {
        name: {"type": column.type, "function": column.function, "of": column.of}
        for name, column in data.columns.items()
        if name in data.asked or name in data.inputs
    }
    files.write_json(paths.VALIDATION, {"columns": columns, "partitions": profiles})
    print(f"{sum(found['rows'] for found in profiles.values())} rows keep the schema")


if __name__ == "__main__":
    run(main)
