"""Stage 4: some rows judge, others train; never at random over time."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from .. import config, files, paths, table
from ..cli import Refusal, run


def sides(partitions: list[str], split: config.Split) -> tuple[list[str], list[str]]:
    """Names of the training and of the holdout partitions, both in order of time."""
    judges = split.holdout_partitions
    if judges is None:
        train = partitions
    elif judges < len(partitions):
        train = partitions[:-judges]
    else:
        raise Refusal(
            f"conf/split/: holdout_partitions {judges} leaves no training data "
            f"out of {len(partitions)} partitions"
        )
    train = train[-(split.train_partitions or len(train)) :]
    return train, train if judges is None else partitions[-judges:]


def labelled(
    data: config.Table,
    split: config.Split,
    partitions: Sequence[Path],
    holdout: bool,
    also: Sequence[str] = (),
) -> str:
    """SQL for the labelled rows that one side takes of some partitions' files.

    They have key, time, target, the columns of a request, and `also` others of the files.

    With `holdout_share` a row's side depends on its key, or its group, and on the rows of its own
    partition only: a row that judges once never trains a later model.
    """
    roles = data.roles
    every = dict.fromkeys((roles.key, roles.time, *also))
    named = [table.quoted(one) for one in every if one and one not in data.asked]
    code = table.as_code(table.quoted(roles.target), data.classes)
    target = f"{code}::{'TINYINT' if data.classes else 'DOUBLE'} AS {table.quoted(roles.target)}"
    chosen = f"SELECT {', '.join([*named, table.canonical(data.asked), target])} FROM read_parquet"
    files = [table.literal(path.as_posix()) for path in partitions]
    where = f"WHERE {code} IS NOT NULL"
    if split.holdout_share is None:
        return f"{chosen}([{', '.join(files)}]) {where}"
    order = f"md5({table.quoted(roles.key)}::VARCHAR)"
    if roles.group:
        judges = f"md5({table.quoted(roles.group)}::VARCHAR) < {_bound(split.holdout_share)}"
        joint = "AND"
    else:
        alike = f"PARTITION BY {code}" if data.classes else ""
        count = f"ceil({split.holdout_share} * count(*) OVER ({alike}))"
        judges = f"row_number() OVER ({alike} ORDER BY {order}) <= {count}"
        joint = "QUALIFY"  # WHERE, for what depends on other rows
    side = f"{where} {joint} {'' if holdout else 'NOT '}({judges}) ORDER BY {order}"
    return " UNION ALL ".join(f"({chosen}({file}) {side})" for file in files)


def _bound(share: float) -> str:
    """The MD5 below which this share of all MD5 lie."""
    return table.literal(f"{round(share * 16**8):08x}")


def with_functions(data: config.Table, query: str) -> str:
    """The same rows with the columns that functions make."""
    return f"SELECT *{table.derived(data.columns)} FROM ({query})"


def frequent(query: str, columns: Mapping[str, config.Column], most: int) -> str:
    """The same rows, with what is not among the most frequent values of a text input missing."""
    replaced = []
    names = [name for name, column in columns.items() if column.type == "categorical"]
    for name in map(table.quoted, names):
        counted = f"SELECT {name}, count(*) FROM ({query}) WHERE {name} IS NOT NULL GROUP BY ALL"
        counted += f" ORDER BY 2 DESC, 1 LIMIT {most + 1}"
        found = table.rows(counted, functions=columns)
        if len(found) > most:
            kept = ", ".join(table.literal(value) for value, _ in found[:most])
            replaced.append(f"CASE WHEN {name} IN ({kept}) THEN {name} END AS {name}")
    return f"SELECT * REPLACE ({', '.join(replaced)}) FROM ({query})" if replaced else query


def main() -> None:
    """Write both sides' labelled rows: inputs as numbers (double) or text, classes as codes."""
    split = config.read("split", config.Split)
    data = config.Table(
        roles=config.read("data.roles", config.Roles),
        classes=config.read("data.classes", list[config.Class] | None),
        columns=config.check(
            files.read_json(paths.VALIDATION)["columns"], dict[str, config.Column], "conf/data/"
        ),
    )
    partitions = sorted(path.stem for path in paths.RAW.glob("*.parquet"))
    for names, path in zip(sides(partitions, split), (paths.TRAIN, paths.HOLDOUT), strict=True):
        chosen = [paths.RAW / f"{name}.parquet" for name in names]
        group = [data.roles.group] if data.roles.group else []  # by which sweeps fold
        rows = labelled(data, split, chosen, path == paths.HOLDOUT, group)
        query = with_functions(data, rows)
        if path == paths.TRAIN:
            query = frequent(query, data.columns, split.max_categories)
        count = table.write(query, path, functions=data.columns)
        print(f"{path.stem}: {count} rows, {names[0]} to {names[-1]}")
    files.write_json(paths.COLUMNS, data.inputs)


if __name__ == "__main__":
    run(main)
