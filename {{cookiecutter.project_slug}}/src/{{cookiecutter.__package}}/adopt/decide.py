"""What is to be predicted, and which rows judge: each decision with its reason."""

import difflib
from dataclasses import dataclass
from pathlib import Path

from ..cli import Refusal
from ..config import Class, Task
from ..table import as_code, quoted
from ..tables.names import cleaned
from ..tables.reading import connected
from .profile import Facts, Profile, all_of, frequent

LABELLED = 50  # rows at least
A_CLASS = 5  # labelled rows of each class at least
CLASSES = 50
WHOLE = 10  # different whole numbers up to which a target is a class and no amount
JUDGING = 0.2  # share of the rows that judge
PAIRS = [
    ("no", "yes"), ("n", "y"), ("false", "true"), ("f", "t"), ("nein", "ja"), ("non", "oui"),
    ("negative", "positive"), ("neg", "pos"), ("benign", "malignant"), ("stayed", "left"),
]  # fmt: skip
METRICS: dict[Task, tuple[str, str]] = {
    "binary": ("log_loss", "roc_auc"),
    "multiclass": ("log_loss", "accuracy"),
    "regression": ("rmse", "mae"),
}


@dataclass(frozen=True)
class Learnt:
    """The target: its column, its task, its classes in order (None for a number), and why."""

    name: str
    task: Task
    classes: list[Class] | None
    why: str
    unlabelled: float

    @property
    def code(self) -> str:
        """The target as SQL: the code of its class, or its number."""
        return as_code(quoted(self.name), self.classes)


@dataclass(frozen=True)
class Split:
    """How the rows are split: by the newest partitions, or, where None, by a share of all."""

    holdout_partitions: int | None
    why: str


def target_name(table: Profile, given: str) -> str:
    """The column that the user calls the target; `Refusal` names the nearest."""
    (name,) = cleaned([given])
    if name in table.columns:
        return name
    alike = {known.casefold(): known for known in table.columns}
    if name.casefold() in alike:
        return alike[name.casefold()]
    near = difflib.get_close_matches(name.casefold(), alike, 1, 0.5)
    hint = f"did you mean {alike[near[0]]!r}?" if near else f"it has {_few(list(table.columns))}"
    raise Refusal(f"the table has no column {given!r}; {hint}")


def learnt(table: Profile, name: str) -> Learnt:
    """Task and classes of a target; `Refusal` when nothing can be learnt from it."""
    facts = table.columns[name]
    if facts.present < LABELLED:
        raise Refusal(
            f"{facts.present} rows have a {name!r}; at least {LABELLED} are needed to learn from"
        )
    if facts.missing > 0.5:
        raise Refusal(f"{name!r} is missing in {facts.missing:.0%} of the rows; remove those rows")
    if facts.dates or facts.type in ("DATE", "TIMESTAMP"):
        raise Refusal(f"{name!r} is a date; make the number or the class to predict of it first")
    with connected(table.scratch) as connection:
        values = frequent(connection, table.source, name, CLASSES + 1)
    if len(values) == 1:
        raise Refusal(f"{name!r} is always {values[0][0]!r}; there is nothing to learn")
    numbers = facts.numbers == 1.0
    whole = numbers and all(float(value).is_integer() for value, _ in values)
    classes = _classes(values, whole)
    if "???" in classes:
        raise Refusal(f"a class of {name!r} is called '???', which conf/ cannot hold; rename it")
    rarest = min(_counts(values, whole).values())
    if len(classes) == 2:
        _enough(name, values, rarest)
        return Learnt(
            name,
            "binary",
            classes,
            f"two values; told is the probability of {classes[-1]}",
            facts.missing,
        )
    if numbers and not (whole and len(classes) <= WHOLE and rarest >= A_CLASS):
        why = f"{facts.distinct:,} different numbers from {facts.low:,.6g} to {facts.high:,.6g}"
        return Learnt(name, "regression", None, why, facts.missing)
    if len(values) > CLASSES:
        if facts.numbers > 0.5:
            odd = _no_number(table, name)
            raise Refusal(f"{name!r} holds numbers and {odd!r}; make all of them numbers")
        raise Refusal(
            f"{name!r} has {facts.distinct:,} different values; {CLASSES} classes at most"
        )
    _enough(name, values, rarest)
    kind = "whole numbers, few enough for classes" if whole else "texts"
    return Learnt(name, "multiclass", classes, f"{len(classes)} {kind}", facts.missing)


def _classes(values: list[tuple[str, int]], whole: bool) -> list[Class]:
    if whole:
        return sorted({int(float(value)) for value, _ in values})
    texts = sorted(value for value, _ in values)
    if len(texts) == 2:
        for pair in PAIRS:
            if {text.casefold() for text in texts} == set(pair):
                texts.sort(key=lambda text: pair.index(text.casefold()))
    return list(texts)


def _counts(values: list[tuple[str, int]], whole: bool) -> dict[object, int]:
    found: dict[object, int] = {}
    for value, count in values:
        key = float(value) if whole else value
        found[key] = found.get(key, 0) + count
    return found


def _enough(name: str, values: list[tuple[str, int]], rarest: int) -> None:
    if rarest < A_CLASS:
        value, count = min(values, key=lambda pair: pair[1])
        raise Refusal(
            f"class {value!r} of {name!r} has {count} rows; {A_CLASS} of each are needed: "
            "merge it with another or remove them"
        )


def _no_number(table: Profile, name: str) -> str:
    column = quoted(name)
    with connected(table.scratch) as connection:
        ((found,),) = connection.execute(
            f"SELECT min({column}) FROM {table.source} "
            f"WHERE {column} IS NOT NULL AND TRY_CAST({column} AS DOUBLE) IS NULL"
        ).fetchall()
    return str(found)


def split(parts: dict[str, Path], scratch: Path, target: Learnt, time: str) -> Split:
    """The newest partitions that hold about a fifth of the rows, if both sides know every class."""
    names = sorted(parts)
    label = target.code if target.classes else "0"
    counts: dict[str, dict[int, int]] = {}
    with connected(scratch) as connection:
        for name in names:
            query = f"SELECT {label}::INT, count(*) FROM {all_of([parts[name]])} "
            found = connection.execute(f"{query} WHERE {target.code} IS NOT NULL GROUP BY 1")
            counts[name] = {int(code): count for code, count in found.fetchall()}
    total = sum(sum(by.values()) for by in counts.values())
    judging: dict[int, int] = {}
    for taken, name in enumerate(reversed(names), 1):
        for code, count in counts[name].items():
            judging[code] = judging.get(code, 0) + count
        if sum(judging.values()) >= JUDGING * total or taken >= len(names) - 1:
            break
    share = sum(judging.values()) / total
    every = range(len(target.classes or [0]))
    if len(names) < 3 or share > 0.5:
        return Split(None, f"{time} parts the rows into too few partitions; a share of all judges")
    training = {
        code: sum(by.get(code, 0) for by in counts.values()) - judging.get(code, 0)
        for code in every
    }
    if min(training.values()) < 1 or any(judging.get(code, 0) < 1 for code in every):
        return Split(None, f"by {time} a class would be on one side only; a share of all judges")
    return Split(
        taken,
        f"the newest {taken} of {len(names)} partitions by {time} judge: {share:.0%} of the rows",
    )


def entity(table: Profile, groups: list[Facts]) -> str | None:
    """The column whose rows belong together: of those that could be, with most rows a value."""
    return max(groups, key=lambda one: one.present / one.distinct).name if groups else None


def _few(names: list[str]) -> str:
    shown = ", ".join(repr(name) for name in names[:8])
    return shown + (f" and {len(names) - 8} more" if len(names) > 8 else "")
