"""`make arrive`: take new partitions over from the source, by naming them in conf/arrived.yaml."""

import re
import sys
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf
from yaml import YAMLError

from . import config, files, paths, sources
from .cli import Refusal, run

LIST = Path("conf/arrived.yaml")
INGESTED = "stages.ingest.params[params.json].partitions"
ITEM = re.compile(r"\s*- *[\"']?(?P<name>[^\"'#]+?)[\"']?\s*(#.*)?$")


def listed() -> list[str]:
    """Partitions that have arrived, oldest first."""
    try:
        found = OmegaConf.to_container(OmegaConf.load(LIST))
    except (OSError, YAMLError) as error:
        raise Refusal(f"{LIST} cannot be read: {' '.join(str(error).split())}") from None
    names = found.get("partitions") if isinstance(found, dict) else None
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise Refusal(f"{LIST}: write `partitions:` and one name in quotes a line below it")
    return [str(name) for name in names]


def pending() -> list[str]:
    """Partitions that have arrived and that dvc.lock does not know as ingested yet."""
    lock = Path("dvc.lock")
    recorded = OmegaConf.select(OmegaConf.load(lock), INGESTED) if lock.exists() else None
    return [name for name in listed() if name not in (recorded or [])]


def unsound() -> bool:
    """Whether dvc.lock knows partitions as ingested that have not been found to keep the schema."""
    lock = Path("dvc.lock")
    recorded: Any = OmegaConf.to_container(OmegaConf.load(lock)) if lock.exists() else {}
    stages = recorded.get("stages", {})
    made, checked = (
        {one["path"]: one.get("md5") for one in stages.get(stage, {}).get(side, ())}
        for stage, side in (("ingest", "outs"), ("validate", "deps"))
    )
    raw = paths.RAW.as_posix()
    return made.get(raw) != checked.get(raw)


def with_names(text: str, added: list[str]) -> str:
    """The list's text with names added in their order; comments stay where they are."""
    lines = text.splitlines()
    if not any(line.split("#")[0].rstrip() == "partitions:" for line in lines):
        raise Refusal(f"{LIST}: write `partitions:` on a line of its own, one name a line below")
    for name in added:
        items = {n: found["name"] for n, line in enumerate(lines) if (found := ITEM.match(line))}
        later = [number for number, item in items.items() if item > name]
        lines.insert(later[0] if later else max(items, default=len(lines) - 1) + 1, f'  - "{name}"')
    return "\n".join(lines) + "\n"


def arrive(which: str) -> list[str]:
    """Append to the list: the `next` partition the source offers, `all` of them, or the one named.

    Returns the names added; empty when there is nothing new.
    """
    offered = sources.load(config.read("data", config.Data).source).offered()
    known = listed()
    new = [name for name in offered if name not in known]
    if which == "next":
        added = new[:1]
    elif which == "all":
        added = new
    elif which not in offered:
        raise Refusal(f"the source does not offer {which!r}, but {', '.join(offered)}")
    else:
        added = [which] if which in new else []
    if added:
        files.write_text(LIST, with_names(LIST.read_text(encoding="utf-8"), added))
    return added


def main() -> None:
    """Add the partition named on the command line, or the next one."""
    added = arrive(sys.argv[1] if len(sys.argv) > 1 else "next")
    print(f"arrived: {', '.join(added)}; `dvc repro` takes it in" if added else "nothing new")


if __name__ == "__main__":
    run(main)
