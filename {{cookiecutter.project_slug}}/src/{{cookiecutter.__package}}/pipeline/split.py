"""Stage 4: the newest partitions judge, the ones before them train; never at random over time."""

from .. import config, files, paths, table
from ..cli import Refusal, run


def sides(partitions: list[str], split: config.Split) -> tuple[list[str], list[str]]:
    """Names of the training and of the holdout partitions, both in order of time."""
    if not 0 < split.holdout_partitions < len(partitions):
        raise Refusal(
            f"conf/split/: holdout_partitions {split.holdout_partitions} leaves no training data "
            f"or no holdout out of {len(partitions)} partitions"
        )
    train = partitions[: -split.holdout_partitions]
    window = len(train) if split.train_partitions is None else split.train_partitions
    if window < 1:
        raise Refusal(f"conf/split/: train_partitions is {window}; 1 or more, or null for all")
    return train[-window:], partitions[-split.holdout_partitions :]


def main() -> None:
    """Write the labelled rows of both sides, inputs as numbers (double) or text."""
    roles = config.read("data.roles", config.Roles)
    kinds: dict[str, config.Kind] = files.read_json(paths.VALIDATION)["columns"]
    split = config.read("split", config.Split)
    partitions = sorted(path.stem for path in paths.RAW.glob("*.parquet"))
    train, holdout = sides(partitions, split)
    key, time, target = map(table.quoted, (roles.key, roles.time, roles.target))
    for side, path in ((train, paths.TRAIN), (holdout, paths.HOLDOUT)):
        sources = [(paths.RAW / f"{name}.parquet").as_posix() for name in side]
        count = table.write(
            f"SELECT {key}, {time}, {table.canonical(kinds)}, {target}::TINYINT AS {target} "
            f"FROM read_parquet($1) WHERE {target} IS NOT NULL",
            path,
            sources,
        )
        print(f"{path.stem}: {count} rows, {side[0]} to {side[-1]}")


if __name__ == "__main__":
    run(main)
