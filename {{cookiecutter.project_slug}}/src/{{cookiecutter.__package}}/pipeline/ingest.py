"""Stage 2: fetch the partitions that have arrived, as one immutable Parquet file each."""

from typing import Any

from .. import config, paths, sources
from ..cli import Refusal, run


def main() -> None:
    """Write data/raw/<partition>.parquet for each name in `partitions`.

    One that the source does not offer any more stays as it was fetched.
    """
    settings = config.read("data.source", dict[str, Any])
    partitions = config.read("partitions", list[str])
    if not partitions or partitions != sorted(set(partitions)):
        raise Refusal("conf/arrived.yaml: `partitions` must be a sorted list of distinct names")
    origin = sources.load(settings)
    offered = set(origin.offered())
    kept = {path.stem: path for path in paths.RAW.glob("*.parquet")}
    if unknown := sorted(set(partitions) - offered - set(kept)):
        raise Refusal(f"conf/arrived.yaml: the source does not offer {', '.join(unknown)}")
    for name in set(kept) - set(partitions):
        kept[name].unlink()
    paths.RAW.mkdir(parents=True, exist_ok=True)
    origin.fetch([name for name in partitions if name in offered], paths.RAW)
    print(f"{len(partitions)} partitions, {partitions[0]} to {partitions[-1]}, in {paths.RAW}")


if __name__ == "__main__":
    run(main)
