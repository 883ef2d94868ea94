"""`make bench-monitoring`: what the monitor says of months with faults in them, and of none.

Beside it Evidently's `DataDriftPreset` as it comes, on the same reference and samples of the same
months. Works in a released project, `--life build/demo/flight-delays`, or bakes and releases one.
"""

import argparse
import json
import shutil
import tempfile
from pathlib import Path
from statistics import median
from typing import Any

from demo.project import TEMPLATE, Project, bake

NO_FAULT = "none"

Found = dict[str, Any]


def show(line: str) -> None:
    """Print a line of a command's output."""
    print(f"  {line[:160]}", flush=True)


def released(scratch: Path) -> Project:
    """A new project after its first release."""
    project = Project(bake(scratch / "baked"), show)
    project.make("env")
    project.run("dvc", "repro")
    project.make("release")
    return project


def by_fault(found: list[Found]) -> dict[str, list[Found]]:
    """What was found in each month, by fault."""
    grouped: dict[str, list[Found]] = {}
    for one in found:
        grouped.setdefault(one["fault"], []).append(one)
    return grouped


def ranks(one: Found, named: list[str]) -> list[int]:
    """The places of what is at fault among what is named, from 1; 0 when it is not."""
    return sorted(named.index(name) + 1 if name in named else 0 for name in one["right"])


def is_named(one: Found, named: list[str]) -> bool:
    """Whether what is at fault is named first."""
    return ranks(one, named) == list(range(1, len(one["right"]) + 1))


def table(found: list[Found]) -> list[str]:
    """A row for each fault, of all months."""
    lines = [
        "| fault | status (months) | named as broken | named first | others named, most | "
        "Evidently: alarm | names it | names it first | others named, most |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for fault, months in by_fault(found).items():
        statuses = [one["status"] for one in months]
        counted = ", ".join(f"{s} {statuses.count(s)}" for s in dict.fromkeys(statuses))
        cells = [fault, counted]
        for alarm, names in (
            (None, [one["named"] for one in months]),
            (
                [one["evidently"]["alarm"] for one in months],
                [one["evidently"]["named"] for one in months],
            ),
        ):
            pairs = list(zip(months, names, strict=True))
            if alarm is not None:
                cells.append(f"{sum(alarm)} of {len(months)}")
            if fault == NO_FAULT:
                cells += ["", ""]
            else:
                cells.append(f"{sum(all(ranks(*pair)) for pair in pairs)} of {len(months)}")
                cells.append(f"{sum(is_named(*pair) for pair in pairs)} of {len(months)}")
            cells.append(f"{max(len(set(named) - set(one['right'])) for one, named in pairs)}")
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def report(figures: Found) -> str:
    """All tables as Markdown."""
    found, still = figures["faults"], figures["stationary"]
    lines = table(found)
    seeds, alarms = still["seeds"], still["alarms"]
    lines += ["", "| nothing has changed | alarms |", "| --- | --- |"]
    for words, key, count in (
        ("the reference split in two at random", "halves", seeds),
        ("the same, 200 rows held to the others", "few", seeds),
        ("the same two halves of a table without a time", "halves without time", seeds),
        ("labels: half of the holdout held to the other half", "labels", seeds),
        ("Evidently: the reference split in two, alarm", "evidently", still["peer_seeds"]),
        (
            "Evidently: the same, any column named",
            "evidently names a column",
            still["peer_seeds"],
        ),
    ):
        lines.append(f"| {words} | {alarms[key]} of {count} ({alarms[key] / count:.1%}) |")
    ours = [one["seconds"] for one in found]
    theirs = [one["evidently"]["seconds"] for one in found if "seconds" in one["evidently"]]
    rest = f"{median(theirs):.1f} s" if theirs else "not measured"
    lines += [
        "",
        f"Looking takes {median(ours):.1f} s (log, importance, comparison and labels; median), "
        f"Evidently's preset alone {rest}.",
    ]
    return "\n".join(lines)


def main() -> None:
    """Print the tables; what they are made of stays in build/monitoring.json."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--life", type=Path, help="folder of a released project of the example")
    parser.add_argument("--seeds", type=int, default=200)
    parser.add_argument("--peer-seeds", type=int, default=20)
    arguments = parser.parse_args()
    scratch = Path(tempfile.mkdtemp(prefix="bench-monitoring-"))
    try:
        project = Project(arguments.life.resolve(), show) if arguments.life else released(scratch)
        output = TEMPLATE / "build/monitoring.json"
        output.parent.mkdir(exist_ok=True)
        package = next(path.name for path in (project.folder / "src").iterdir() if path.is_dir())
        project.environment["PYTHONPATH"] = str(TEMPLATE)
        counts = (str(arguments.seeds), str(arguments.peer_seeds))
        places = (str(scratch / "watched"), str(output))
        project.run("python", "-m", "benchmarks.watched", package, *places, *counts)
        print("\n" + report(json.loads(output.read_text(encoding="utf-8"))))
    finally:
        shutil.rmtree(scratch)


if __name__ == "__main__":
    main()
