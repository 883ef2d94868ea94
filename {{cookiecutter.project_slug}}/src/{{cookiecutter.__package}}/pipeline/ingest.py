"""Stage 2: fetch the partitions that have arrived, as one immutable Parquet file each."""

from .. import config, paths, source
from ..cli import Refusal, run


def main() -> None:
    """Write data/raw/<partition>.parquet for each name in `partitions`."""
    name = config.read("data.source", str)
    partitions = config.read("partitions", list[str])
    if not partitions or partitions != sorted(set(partitions)):
        raise Refusal("conf/arrived.yaml: `partitions` must be a sorted list of distinct names")
    origin = source.load(name)
    if unknown := sorted(set(partitions) - set(origin.offered())):
        raise Refusal(f"conf/arrived.yaml: {name} does not offer {', '.join(unknown)}")
    paths.RAW.mkdir(parents=True, exist_ok=True)
    origin.fetch(partitions, paths.RAW)
    print(f"{len(partitions)} partitions, {partitions[0]} to {partitions[-1]}, in {paths.RAW}")


if __name__ == "__main__":
    run(main)
