"""What each column is good for, and why, in one sentence."""

import re
from dataclasses import dataclass
from typing import Literal

from .profile import Facts

Type = Literal["numeric", "categorical", "text", "date", "identifier", "constant", "leaking"]

NUMBERS = 0.95  # of the values that must read as numbers
FEW = 200  # different values that a categorical column may have, and of which it keeps so many
REPEATS = 2.0  # rows a value, on average, of one with more
LONG = 40  # characters from which on text is prose
WORDS = 4
NAMED_ID = re.compile(r"(^|[\W_])(id|key|uuid|guid|no|nr|number|rownames?|index)$", re.IGNORECASE)
CAMEL_ID = re.compile(r"[a-z](Id|ID|Key|No|Nr)$")
NAMED_CODE = re.compile(
    r"(^|[\W_])(code|zip|zipcode|plz|postcode|postal|cd|isbn|phone|tel)([\W_]|$)", re.IGNORECASE
)


@dataclass
class Role:
    """The type a column is given in conf/, and the reason."""

    type: Type
    why: str


def role(facts: Facts) -> Role:
    """The role of a column that is not the target."""
    if not facts.present:
        return Role("constant", "always missing")
    if facts.distinct <= 1:
        one = facts.values[0][0] if facts.values else "one value"
        missing = " or missing" if facts.missing else ""
        return Role("constant", f"always {_short(one)}{missing}")
    if facts.type in ("DATE", "TIMESTAMP"):
        return Role("date", "a date; take its parts in with a function in custom/")
    if facts.dates:
        unsure = f"; or is it {facts.dates.unsure[1]}?" if facts.dates.unsure else ""
        return Role("date", f"a date, {facts.dates.named}{unsure}")
    if facts.type == "BOOLEAN":
        return Role("categorical", "true or false")
    if facts.numbers >= NUMBERS and facts.coded < 0.05:
        return _number(facts)
    return _text(facts)


def _number(facts: Facts) -> Role:
    whole = facts.whole == 1.0
    if whole and _nearly_unique(facts) and (facts.rising or is_named_id(facts.name)):
        kind = "counts the rows" if facts.rising else "differs in every row"
        return Role("identifier", kind)
    if whole and facts.distinct > 20 and is_named_id(facts.name):
        return Role("identifier", f"{facts.distinct:,} different numbers that name something")
    if whole and NAMED_CODE.search(facts.name):
        return _category(facts, "codes, not amounts: ")
    unread = 1 - facts.numbers
    rest = f"; {unread:.1%} that are no numbers count as missing" if unread > 0 else ""
    kind = "whole numbers" if whole else "numbers"
    return Role("numeric", f"{kind} from {_figure(facts.low)} to {_figure(facts.high)}{rest}")


def _text(facts: Facts) -> Role:
    if facts.length > LONG or (facts.words >= WORDS and facts.distinct > 0.5 * facts.present):
        return Role("text", f"prose of {facts.words:.0f} words on average")
    if _nearly_unique(facts):
        return Role("identifier", "differs in (nearly) every row")
    return _category(facts, "")


def _category(facts: Facts, before: str) -> Role:
    if facts.distinct <= FEW:
        listed = sorted(value for value, _ in facts.values)
        several = f"{facts.distinct:,} values"
        if listed and len(", ".join(listed)) <= 50:
            several = ", ".join(listed)
        return Role("categorical", f"{before}{several}")
    if facts.distinct * REPEATS > facts.present:
        return Role("identifier", f"{before}{facts.distinct:,} values that hardly come twice")
    return Role(
        "categorical", f"{before}{facts.distinct:,} values, of which the {FEW} most frequent count"
    )


def is_named_id(name: str) -> bool:
    """Whether a column is called as one that names something."""
    return bool(NAMED_ID.search(name) or CAMEL_ID.search(name))


def is_key(facts: Facts) -> bool:
    """Whether a column names each row: there for every row, never twice, and no measurement."""
    if not facts.unique or facts.present < facts.rows or facts.dates:
        return False
    if facts.type == "VARCHAR" and facts.numbers < NUMBERS:
        return facts.words < 2 and facts.length <= LONG
    return facts.whole == 1.0 and (facts.rising or is_named_id(facts.name))


def is_group(facts: Facts) -> bool:
    """Whether a column names what several rows are of, such as a patient with many visits."""
    several = 10 <= facts.distinct <= facts.present / REPEATS
    return several and is_named_id(facts.name) and facts.missing == 0


def _nearly_unique(facts: Facts) -> bool:
    return facts.present >= 20 and facts.distinct >= 0.9 * facts.present


def _figure(value: float | None) -> str:
    if value is None:
        return "?"
    return f"{value:,.6g}" if abs(value) >= 10_000 else f"{value:.6g}"  # 2003 may be a year


def _short(text: str) -> str:
    return text if len(text) <= 30 else text[:29] + "…"
