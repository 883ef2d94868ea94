"""The limits that later data are held to: wide enough for new rows, too narrow for another unit."""

import math

from ..table import quoted
from ..tables.reading import connected
from .plan import Plan
from .roles import Role


def missing(plan: Plan) -> dict[str, float]:
    """Largest share of missing values that a partition may have, of each column and the target.

    0 where none is missing now: then the column is required, in every request too.
    """
    names = [*plan.roles, plan.target.name]
    worst = dict.fromkeys(names, 0.0)
    with connected(plan.table.scratch) as connection:
        for path in plan.partitions.values():
            for start in range(0, len(names), 200):
                some = names[start : start + 200]
                counts = ", ".join(f"1 - count({_value(plan, name)}) / count(*)" for name in some)
                query = f"SELECT {counts} FROM read_parquet('{path.as_posix()}')"
                for name, share in zip(some, connection.execute(query).fetchall()[0], strict=True):
                    worst[name] = max(worst[name], share or 0.0)
    return {name: roomy(share) for name, share in worst.items()}


def _value(plan: Plan, name: str) -> str:
    numeric = name in plan.roles and plan.roles[name].type == "numeric"
    return f"TRY_CAST({quoted(name)} AS DOUBLE)" if numeric else quoted(name)


def roomy(share: float) -> float:
    """A limit above a share that has been seen: half as much again and a little, in 0.05 steps."""
    return min(1.0, math.ceil(round((share * 1.5 + 0.01) * 20, 6)) / 20) if share else 0.0


def span(plan: Plan, name: str, role: Role) -> dict[str, float]:
    """`min` and `max` of a numeric column: as far again beyond what has been seen."""
    facts = plan.table.columns[name]
    if role.type != "numeric" or facts.low is None or facts.high is None:
        return {}
    width = facts.high - facts.low or abs(facts.high) or 1.0
    if not math.isfinite(width):
        return {}
    low = 0 if facts.low >= 0 else rounded(facts.low - width, up=False)
    return {"min": low, "max": rounded(facts.high + width, up=True)}


def rounded(value: float, up: bool) -> float:
    """A number of two digits next to `value`, above it or below."""
    if not value:
        return 0
    unit = 10.0 ** (math.floor(math.log10(abs(value))) - 1)
    steps = math.ceil(value / unit) if up else math.floor(value / unit)
    near = float(f"{steps * unit:.6g}")
    return int(near) if near.is_integer() and abs(near) < 1e15 else near
