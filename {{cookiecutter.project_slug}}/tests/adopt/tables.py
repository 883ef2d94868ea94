"""Made-up tables, on which all decisions are known."""

import csv
import random
from collections.abc import Iterable
from datetime import date, timedelta
from pathlib import Path
from typing import Any

Row = dict[str, Any]
WORDS = ["good", "bad", "call", "again", "price", "service", "late", "very", "happy"]


def customers(count: int = 600, seed: int = 1) -> list[Row]:
    """Rows of people who leave the more often the older they are, over two years."""
    chance = random.Random(seed)  # noqa: S311
    found = []
    for number in range(count):
        day = date(2022, 1, 1) + timedelta(days=number * 730 // count)
        age = chance.randint(18, 89)
        left = chance.random() < (age - 10) / 90
        found.append(
            {
                "customer_id": f"C{number:05d}",
                "signed up": f"{day:%d.%m.%Y}",
                "age": age if chance.random() < 0.9 else "",
                "plan": chance.choice(["it's basic", "plus and very much more", "pro"]),
                "spend €": round(chance.lognormvariate(3, 1), 2),
                "left on": f"{day + timedelta(days=40):%Y-%m-%d}" if left else "",
                "notes": " ".join(chance.choices(WORDS, k=12)),
                "city": f"city {number % 250}",
                "always": "x",
                "never": "",
                "score": int(left) * 7 + 1,
                "left": "yes" if left else "no",
            }
        )
    return found


def write(rows: Iterable[Row], path: Path, delimiter: str = ",", encoding: str = "utf-8") -> Path:
    """Write rows as CSV."""
    listed = list(rows)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding=encoding, newline="") as file:
        writer = csv.DictWriter(file, list(listed[0]), delimiter=delimiter)
        writer.writeheader()
        writer.writerows(listed)
    return path
