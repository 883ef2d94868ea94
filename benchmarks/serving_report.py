"""The tables of `benchmarks.serving`, and which marks they reach."""

import subprocess
from collections.abc import Mapping
from pathlib import Path
from statistics import median

from .peers import ASGI, BATCHING, BENTO, HANDMADE, MLFLOW, OURS, PAIR, PYDANTIC
from .timing import ratio

Found = Mapping[str, Mapping[str, list[float]]]


def size(venv: Path) -> int:
    """Megabytes of an environment's installed packages."""
    (packages,) = venv.glob("lib/python*/site-packages")
    done = subprocess.run(["du", "-sm", packages], capture_output=True, text=True, check=True)
    return int(done.stdout.split()[0])


def show(found: Found, sizes: Mapping[str, int]) -> None:
    """Print everything as Markdown."""
    print(f"\n{_singles(found, sizes)}\n\n{_batches(found)}\n\n{_beside(found)}")
    print(f"\n{_workers(found)}\n\n{_marks(found)}")


def _table(*rows: tuple[str, ...]) -> str:
    head, *rest = rows
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, ("---",) * len(head), *rest))


def _singles(found: Found, sizes: Mapping[str, int]) -> str:
    rows = [
        (
            name,
            f"{median(one['rate']):,.0f}",
            ratio(found[OURS]["rate"], one["rate"]),
            f"{median(one['cpu']):,.0f}",
            f"{median(one['p50']):.2f} / {median(one['p99']):.2f}",
            f"{median(one['resident']):.0f} ({median(one['largest']):.0f})",
            f"{median(one['start']):.1f}",
            str(sizes[name]),
        )
        for name in sizes
        for one in (found[name],)
    ]
    head = ("one row, one core", "answers/s", "ours / it, median (range)", "CPU µs an answer")
    more = ("p50 / p99 ms", "MB resident (largest process)", "start s", "installed MB")
    return _table((*head, *more), *rows)


def _batches(found: Found) -> str:
    rows = [
        (
            name,
            f"{median(one['rows 1']):,.0f}",
            f"{median(one['rows 4']):,.0f}",
            ratio(found[OURS]["rows 1"], one["rows 1"]),
            ratio(found[OURS]["rows 4"], one["rows 4"]),
        )
        for name in (OURS, MLFLOW, BENTO, BATCHING)
        for one in (found[name],)
    ]
    head = ("batches of 1,000 rows", "rows/s, 1 connection", "rows/s, 4 connections")
    return _table((*head, "ours / it, 1", "ours / it, 4"), *rows)


def _beside(found: Found) -> str:
    def latencies(figures: Mapping[str, list[float]], prefix: str) -> str:
        return " / ".join(f"{median(figures[prefix + n]):.2f}" for n in ("p50", "p99", "worst"))

    rows = [
        (
            name,
            latencies(found[name], ""),
            latencies(found[name], "beside "),
            f"{median(found[name]['beside rate']) * 1000:,.0f}",
            f"{median(found[name]['batch']):.1f}",
        )
        for name in (OURS, MLFLOW)
    ]
    head = ("one row at a time, p50 / p99 / worst ms", "alone", "beside two connections of batches")
    return _table((*head, "rows/s of these", "one batch alone, ms"), *rows)


def _workers(found: Found) -> str:
    rows = [
        (
            name,
            f"{median(one['saturated rate']):,.0f}",
            f"{median(one['saturated per second used']):,.0f}",
            f"{median(one['saturated per second available']):,.0f}",
            f"{median(one['saturated busiest']):.0%}",
        )
        for name in (OURS, PAIR)
        for one in (found[name],)
    ]
    head = (
        "64 connections a worker",
        "answers/s",
        "per CPU second used",
        "per CPU second available",
    )
    return _table((*head, "CPU of the busiest process"), *rows)


def _marks(found: Found) -> str:
    ours, mlflow = found[OURS], found[MLFLOW]

    def rate(peer: str) -> list[float]:
        return _ratios(ours["rate"], found[peer]["rate"])

    def slower(figure: str) -> list[float]:
        return [a - b for a, b in zip(ours[figure], found[ASGI][figure], strict=True)]

    batches = _ratios(ours["rows 1"], mlflow["rows 1"])
    # What two leave unused counts against them, what one leaves unused does not count for them.
    pair = found[PAIR]
    each = _ratios(pair["saturated per second available"], ours["saturated per second used"])
    scaling = [a * b for a, b in zip(each, pair["saturated workers"], strict=True)]
    blocked = _ratios(ours["beside p99"], ours["batch"])
    least = [
        (f"one row, ours / {MLFLOW}", rate(MLFLOW), 200.0),
        (f"one row, ours / {HANDMADE}", rate(HANDMADE), 150.0),
        (f"one row, ours / {PYDANTIC}", rate(PYDANTIC), 2.5),
        (f"one row, ours / {ASGI}", rate(ASGI), 0.5),
        (f"rows/s in batches, ours / {MLFLOW}", batches, 5.0),
        ("two workers / one, answers per CPU second available x workers at work", scaling, 1.8),
    ]
    most = [
        (f"p50 at one connection, ms more than {ASGI}", slower("p50"), 0.2),
        (f"p99 at one connection, ms more than {ASGI}", slower("p99"), 1.0),
        ("p99 of single rows beside batches / time of one batch", blocked, 1.0),
    ]
    rows = [_mark(*one, sign=1) for one in least] + [_mark(*one, sign=-1) for one in most]
    return _table(("mark", "asked", "found, median (range)", "reached"), *rows)


def _mark(what: str, values: list[float], asked: float, sign: int) -> tuple[str, ...]:
    middle = median(values)
    reached = "yes" if sign * (middle - asked) >= 0 else "no"
    bound = f"{'at least' if sign > 0 else 'at most'} {asked:g}"
    return what, bound, f"{middle:.2f} ({min(values):.2f} to {max(values):.2f})", reached


def _ratios(ours: list[float], theirs: list[float]) -> list[float]:
    return [a / b for a, b in zip(ours, theirs, strict=True)]
