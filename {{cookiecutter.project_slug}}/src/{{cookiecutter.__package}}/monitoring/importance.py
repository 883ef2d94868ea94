"""How much the model makes of each column, from its own explanations."""

import msgspec

from .. import table
from ..serving import bundle

ROWS = 100  # about a second; the order of the columns is that of 500 rows but for near ties


def importance(model: bundle.Model) -> dict[str, float]:
    """The mean absolute contribution to the answer, over rows of the reference, by asked column.

    What a function makes of columns counts for each of them in equal parts.
    """
    names = [column.name for column in model.schema.asked]
    rows = table.columns(model.folder / bundle.REFERENCE, names)
    count = len(rows[names[0]])
    made = {column.name: column.of for column in model.schema.columns if column.function}
    total = dict.fromkeys(names, 0.0)
    for place in range(0, count, max(1, count // ROWS)):
        row = {name: values[place] for name, values in rows.items()}
        explanation = model.explain(model.schema.decode(msgspec.json.encode(row)))
        for name, contribution in explanation.contributions.items():
            parts = made.get(name, [name])
            for part in parts:
                total[part] += abs(contribution) / len(parts)
    return total
