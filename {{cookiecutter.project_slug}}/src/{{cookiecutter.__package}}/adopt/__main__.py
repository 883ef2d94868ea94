"""`make adopt DATA=customers.csv TARGET=churned`: make a table of one's own the project's.

Everything is looked at and decided first; the files of the project change at the very end, all
together. What was decided is printed, and stands in conf/ with its reason.
"""

import os
import re
import shutil
from pathlib import Path
from tempfile import TemporaryDirectory

from .. import paths
from ..cli import Refusal, run
from ..pipeline.compose import CONF, compose, noted
from . import arrivals, example, readme, report, write
from .changes import Changes
from .plan import IMPORTED, plan

PACKAGE = Path(__file__).resolve().parents[1]
FORMER = "former"
USAGE = "name the table and the column to predict: make adopt DATA=customers.csv TARGET=churned"


def adopt(
    data: str,
    target: str,
    *,
    sql: str = "",
    name: str = "",
    time: str | None = None,
    force: bool = False,
) -> list[str]:
    """Adopt the table at an address; returns the lines to print."""
    _allowed(force)
    with TemporaryDirectory(prefix=".adopt-", dir=Path.cwd()) as folder:
        scratch = Path(folder)
        arrived = arrivals.queried(data, sql, scratch) if sql else arrivals.files(data, scratch)
        made = plan(arrived, _name(name or arrived.stem), target, time, scratch)
        if made.imported and not force and any(IMPORTED.glob("*")):
            raise Refusal(f"{IMPORTED} holds files already: move them away, or use FORCE=1")
        changes = Changes(scratch)
        example.remove(changes, PACKAGE.relative_to(paths.PROJECT), readme.section(made))
        texts = write.texts(made, PACKAGE.name)
        for path, text in texts.items():
            changes.remove(path) if text is None else changes.write(path, text)
        if made.imported:
            changes.remove(IMPORTED)
        for path, original in made.imported.items():
            changes.copy(path, original)
        _composes(texts, scratch)
        changes.apply()
        _set_aside(scratch.name)
        return report.lines(made, texts)


def _allowed(force: bool) -> None:
    """Refuse where the change would take something away that cannot be made again."""
    if not Path("conf/config.yaml").exists():
        raise Refusal("run this in the project's folder")
    if noted(CONF):
        raise Refusal("conf/overrides.yaml holds an experiment; `make exp` alone removes it")
    if (paths.BUNDLES / "champion.json").exists() and not force:
        raise Refusal(
            "a champion was released from this project, and another table would not fit it: "
            "bake a new project, or use FORCE=1, which sets var/ aside"
        )


def _set_aside(name: str) -> None:
    """Move the state of the former table's models out of the way, within var/."""
    found = [path for path in paths.VAR.glob("*") if path.name != FORMER]
    for path in found:
        (paths.VAR / FORMER / name.strip(".")).mkdir(parents=True, exist_ok=True)
        path.rename(paths.VAR / FORMER / name.strip(".") / path.name)


def _composes(texts: dict[Path, str | None], scratch: Path) -> None:
    """Check the new configuration as the pipeline will, before anything changes."""
    copy = scratch / "conf"
    shutil.copytree(CONF, copy)
    for path, text in texts.items():
        if path.parts[0] == CONF.name:
            place = copy / path.relative_to(CONF)
            place.unlink(missing_ok=True) if text is None else place.write_text(text, "utf-8")
    compose(copy, [])


def _name(given: str) -> str:
    return re.sub(r"[^a-z0-9]+", "_", given.lower()).strip("_") or "table"


def main() -> None:
    """Read what is wanted from the environment, so that no shell takes a name apart."""
    wanted = {name: os.environ.get(name, "") for name in ("DATA", "TARGET", "SQL", "NAME", "TIME")}
    if not wanted["DATA"] or not wanted["TARGET"]:
        raise Refusal(USAGE)
    for line in adopt(
        wanted["DATA"],
        wanted["TARGET"],
        sql=wanted["SQL"],
        name=wanted["NAME"],
        time=wanted["TIME"] or None,
        force=bool(os.environ.get("FORCE")),
    ):
        print(line)
    print("\nnext: `dvc repro`, then `git add --all && git commit`, then `make serve`")


if __name__ == "__main__":
    run(main)
