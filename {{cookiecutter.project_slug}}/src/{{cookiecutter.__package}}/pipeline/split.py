"""Stage 4: the newest partitions judge, the ones before them train; never at random over time."""

from .. import config, paths, table
from ..cli import Refusal, run


def sides(partitions: list[str], split: config.Split) -> tuple[list[str], list[str]]:
    """Names of the training and of the holdout partitions, both in order of time."""
    if not 0 < split.holdout_partitions < len(partitions):
        raise Refusal(
            f"conf/split/: holdout_partitions {split.holdout_partitions} leaves no training data "
            f"or no holdout out of {len(partitions)} partitions"
        )
    train = partitions[: -split.holdout_partitions]
    return train[-(split.train_partitions or len(train)) :], partitions[-split.holdout_partitions :]


def main() -> None:
    """Write the labelled rows of both sides, inputs as numbers (double) or text."""
    data = config.read("data", config.Data)
    split = config.read("split", config.Split)
    partitions = sorted(path.stem for path in paths.RAW.glob("*.parquet"))
    train, holdout = sides(partitions, split)
    inputs = ", ".join(
        f"{table.quoted(name)}::{'DOUBLE' if column.type == 'numeric' else 'VARCHAR'} "
        f"AS {table.quoted(name)}"
        for name, column in data.columns.items()
    )
    key, time, target = map(table.quoted, (data.key, data.time, data.target))
    for side, path in ((train, paths.TRAIN), (holdout, paths.HOLDOUT)):
        sources = [(paths.RAW / f"{name}.parquet").as_posix() for name in side]
        count = table.write(
            f"SELECT {key}, {time}, {inputs}, {target}::TINYINT AS {target} "
            f"FROM read_parquet($1) WHERE {target} IS NOT NULL",
            path,
            sources,
        )
        print(f"{path.stem}: {count} rows, {side[0]} to {side[-1]}")


if __name__ == "__main__":
    run(main)
