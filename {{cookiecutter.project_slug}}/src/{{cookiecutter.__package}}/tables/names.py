"""Column names that a configuration, a request and SQL can all hold."""

from collections.abc import Sequence

UNFIT = frozenset('"\\')  # a request's JSON and the model's bundle hold names as they are


def cleaned(header: Sequence[str]) -> list[str]:
    """The names of a header, each fit to be used and none twice; depends on the header alone.

    Blanks around a name go; quotes, backslashes and what cannot be printed become `_`. A column
    without a name is called `column_<number>`; a name that is there already, in capitals or not,
    gets `_2`, `_3` and so on, because SQL does not tell `a` from `A`.
    """
    names = [_fit(name) or f"column_{number}" for number, name in enumerate(header, 1)]
    theirs = {name.casefold() for name in names}
    used: set[str] = set()
    found = []
    for name in names:
        unique, count = name, 1
        while unique.casefold() in used or (count > 1 and unique.casefold() in theirs):
            count += 1
            unique = f"{name}_{count}"
        used.add(unique.casefold())
        found.append(unique)
    return found


def _fit(name: str) -> str:
    bare = name.replace("\ufeff", "").strip()
    return "".join("_" if sign in UNFIT or not sign.isprintable() else sign for sign in bare)
