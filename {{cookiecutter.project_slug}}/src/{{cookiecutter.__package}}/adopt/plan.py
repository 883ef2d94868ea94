"""All decisions about a table, made one after the other."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..cli import Refusal
from . import decide, leakage, timing
from .arrivals import Arrived
from .decide import Learnt, Split
from .profile import Profile, profile
from .roles import Role, is_group, is_key, role

IMPORTED = Path("data/source")


@dataclass
class Plan:
    """What is written into conf/, and which files are imported."""

    name: str
    table: Profile
    target: Learnt
    roles: dict[str, Role]
    key: str
    time: str | None
    group: str | None
    split: Split
    source: str  # the class, below `sources`
    settings: dict[str, Any]
    partitions: dict[str, Path]  # a Parquet file of the rows of each
    time_why: str = "no column of dates is there for (nearly) every row"
    imported: dict[Path, Path] = field(default_factory=dict)  # to where in the project, from where

    @property
    def rows(self) -> int:
        """Rows of the table."""
        return self.table.rows


def plan(arrived: Arrived, name: str, wished: str, wished_time: str | None, scratch: Path) -> Plan:
    """Look at the table and decide; `Refusal` when nothing can be learnt from it."""
    table = profile(arrived.parts, scratch)
    target = decide.target_name(table, wished)
    learnt = decide.learnt(table, target)
    roles = {one: role(facts) for one, facts in table.columns.items() if one != target}
    code = leakage.Target(target, learnt.task, learnt.code)
    for one, why in leakage.leaking(table, roles, code).items():
        roles[one] = Role("leaking", why)
    time = timing.time_column(table, roles, wished_time)
    if time:
        for one, why in timing.known_later(table, roles, time).items():
            roles[one] = Role("leaking", why)
    keys = [one for one in roles if is_key(table.columns[one])]
    key = next(iter(keys), None)
    made = Plan(
        name, table, learnt, roles, key or _free("row_id", table), None, None,
        Split(None, "a share of the rows of each class judges, by hash of the key"),
        "folder.Folder", dict(arrived.settings), dict(arrived.parts),
    )  # fmt: skip
    if learnt.classes is None:
        made.split = Split(None, "a share of the rows judges, by hash of the key")
    if key is None:
        made.settings["row_id"] = made.key
    if time:
        _by_time(made, arrived, time, scratch)
    groups = [table.columns[one] for one in roles if one != key and is_group(table.columns[one])]
    if made.split.holdout_partitions is None and (group := decide.entity(table, groups)):
        made.group = group
        made.split = Split(None, f"all rows of one {group} are on one side; a share of them judges")
        roles[group] = Role(
            "identifier", f"{table.columns[group].distinct:,} of them, with many rows each"
        )
    if arrived.kind == "query":
        made.source = "query.Query"
    elif arrived.kind == "file" and not made.imported:
        (original,) = arrived.originals.values()
        _import(made, {IMPORTED / original.name: original})
    for named in (made.key, made.time):
        roles.pop(named or "", None)
    if not any(role.type in ("numeric", "categorical") for role in roles.values()):
        raise Refusal("no column is left to learn from: all are identifiers, dates, text or leaks")
    return made


def _by_time(made: Plan, arrived: Arrived, time: str, scratch: Path) -> None:
    """Part the rows by time, if the newest of them can judge."""
    parts, period = dict(arrived.parts), None
    as_it_lies = arrived.kind == "folder" and timing.in_order(made.table, time)
    if not as_it_lies:
        period = timing.period_of(made.table, time)
        facts = made.table.columns[time]
        if arrived.kind == "query" and facts.dates and facts.dates.formats != ("ISO",):
            return  # the database would not know what is earlier
        if period is None:
            return
        folder = scratch / "by-time"
        folder.mkdir()
        parts = timing.part(made.table, time, period, folder)
        if arrived.kind == "query":
            closed = sorted(set(parts) - {timing.UNDATED})[:-1]
            parts = {one: parts[one] for one in closed}
    split = decide.split(parts, scratch, made.target, time)
    made.time_why = "dates, but no split by them has every class on both sides"
    if split.holdout_partitions is None:
        made.split = split
        return
    made.time, made.split, made.partitions = time, split, parts
    made.time_why = f"when a row came about: {made.roles[time].why}"
    if arrived.kind == "query":
        made.settings |= {"time": time, "period": period}
    elif not as_it_lies:
        _import(made, {IMPORTED / f"{one}.parquet": path for one, path in parts.items()})


def _import(made: Plan, imported: dict[Path, Path]) -> None:
    made.imported = imported
    made.settings["address"] = IMPORTED.as_posix()


def _free(name: str, table: Profile) -> str:
    names = {one.casefold() for one in table.columns}
    count = 1
    while (found := name if count == 1 else f"{name}_{count}") in names:
        count += 1
    return found
