"""What README.md says of the table, with a real row to ask the service for."""

import json
import textwrap
from typing import Any

from ..table import quoted
from ..tables.reading import connected
from .plan import Plan

WIDTH = 90
WIDE = 40  # columns up to which a row is shown


def section(plan: Plan) -> str:
    """The text that takes the place of the example's."""
    learnt = plan.target
    kind = {
        "binary": f"how likely `{learnt.name}` is {(learnt.classes or [''])[-1]}",
        "multiclass": f"which value of `{learnt.name}` is how likely",
        "regression": f"`{learnt.name}`, as a number with an interval",
    }[learnt.task]
    inputs = sum(role.type in ("numeric", "categorical") for role in plan.roles.values())
    about = (
        f"The model tells {kind}, from {inputs} columns of a table of {plan.rows:,} rows. "
        f"`conf/data/{plan.name}.yaml` says what each column is, and why."
    )
    lines = [*textwrap.wrap(about, 98, break_on_hyphens=False), ""]
    if inputs > WIDE:
        return "\n".join([*lines, "A row to ask for is in `/openapi.json`.", ""]) + "\n"
    body = _body(example(plan)).replace("'", "'\\''")
    asked = f"curl -s 'http://127.0.0.1:8000/predict' -d '{body}'"
    sent = [f"`{name}`" for name in (plan.key, plan.time) if name]
    along = f"{' and '.join(sent)} may be sent along: the first joins the outcome to the answer."
    return "\n".join([*lines, "```sh", asked, "```", "", *textwrap.wrap(along, 98), ""]) + "\n"


def _body(row: dict[str, Any]) -> str:
    """A row as JSON, on lines of about `WIDTH` characters that end after a comma."""
    lines = [""]
    for name, value in row.items():
        entry = json.dumps({name: value}, ensure_ascii=False)[1:-1] + ", "
        if lines[-1] and len(lines[-1] + entry) > WIDTH:
            lines.append("")
        lines[-1] += entry
    text = "\n  ".join(line.rstrip() for line in lines)
    return "{" + text.removesuffix(",") + "}"


def example(plan: Plan) -> dict[str, Any]:
    """A labelled row with as few missing values as may be, as a client sends it."""
    inputs = {
        name: role.type
        for name, role in plan.roles.items()
        if role.type in ("numeric", "categorical")
    }
    shown = [
        f"TRY_CAST({quoted(name)} AS DOUBLE)" if kind == "numeric" else f"{quoted(name)}::VARCHAR"
        for name, kind in inputs.items()
    ]
    there = " + ".join(f"({quoted(name)} IS NOT NULL)::INT" for name in inputs)
    with connected(plan.table.scratch) as connection:
        (row,) = connection.execute(
            f"SELECT {', '.join(shown)} FROM {plan.table.sample} ORDER BY {there} DESC LIMIT 1"
        ).fetchall()
    values = [int(one) if isinstance(one, float) and one.is_integer() else one for one in row]
    return dict(zip(inputs, values, strict=True))
