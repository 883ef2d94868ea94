"""The monitor on months with faults, and on none; runs in a project's environment and folder.

`python -m benchmarks.watched <package> <scratch folder> <output> <seeds> <seeds of the peer>`
writes what was found as JSON. Each month goes through a prediction log of its own and `watch()`,
as a user's does; only the drawing of pages is left out.
"""

import json
import sys
import time
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd

from . import faults

MONTHS = [f"2013-{month:02d}" for month in range(7, 13)]
SAMPLE, FEW = 10_000, 200  # rows

Found = dict[str, Any]


class Watched:
    """A project's champion, its monitor, and the months that came after."""

    def __init__(self, package: str, scratch: Path) -> None:
        self._package = package
        self.config, self.paths = self._import("config"), self._import("paths")
        self.drift = self._import("monitoring.drift")
        self.summary = self._import("monitoring.summary")
        self.drift.draw = lambda *_: ""
        self.drift.quality.report = lambda *_: ""
        self.drift.trend.report = lambda *_: ""
        champion, bundle = self._import("serving.champion"), self._import("serving.bundle")
        self.model = bundle.Model(
            self.paths.BUNDLES / champion.read_pointer(self.paths.BUNDLES).bundle
        )
        self.monitoring = self.config.read("monitoring", self.config.Monitoring)
        self.answer = self.drift.answer_name(self.model)
        self.numeric = {c.name: c.vocabulary is None for c in self.model.schema.columns}
        self.reference = self.drift.reference_of(self.model, self.answer)
        self.importance = self._import("monitoring.importance").importance(self.model)
        self._scratch, self._raw = scratch, scratch / "raw"
        self._raw.mkdir(parents=True)
        self._import("sources.flights.source").Flights().fetch(MONTHS, self._raw)
        for name in ("PREDICTIONS", "FEEDBACK", "MONITORING", "RAW"):
            setattr(self.paths, name, scratch / "now" / name.lower())
        self.paths.PREDICTIONS.mkdir(parents=True)
        self.paths.RAW.mkdir()

    def _import(self, name: str) -> Any:
        return import_module(f"{self._package}.{name}")

    def month(self, name: str) -> pd.DataFrame:
        """A month's rows: numbers as float64, the rest as it comes."""
        rows = duckdb.sql(f"FROM read_parquet('{self._raw / name}.parquet')").df()
        numbers = [column for column, numeric in self.numeric.items() if numeric]
        return rows.astype(dict.fromkeys(numbers, "float64"))

    def answers(self, rows: pd.DataFrame) -> Any:
        """The champion's answers."""
        table = {name: rows[name].astype(object) for name in self.numeric}
        plain = {
            name: values.where(values.notna(), None).tolist() for name, values in table.items()
        }
        return self.model.predict_columns(plain)

    def log(self, rows: pd.DataFrame) -> None:
        """Replace the prediction log by the champion's answers to these rows."""
        manifest, now = self.model.manifest, datetime.now(UTC)
        asked = rows[[manifest.key, manifest.time, *self.numeric]].astype({manifest.time: str})
        records = asked.astype(object).where(asked.notna(), None).to_dict("records")
        frame = {"at": now.isoformat(timespec="milliseconds"), "version": manifest.version}
        with (self.paths.PREDICTIONS / f"{now:%Y-%m-%d}.1-a.0.jsonl").open("w") as file:
            pairs = zip(records, self.answers(rows).tolist(), strict=True)
            for number, (row, probability) in enumerate(pairs):
                told = {"id": f"{number}", "probability": probability, "label": 0, "row": row}
                file.write(json.dumps({**frame, **told}) + "\n")

    def arrive(self, rows: pd.DataFrame) -> None:
        """Replace the labels that have arrived by those of these rows."""
        duckdb.from_df(rows).write_parquet((self.paths.RAW / "2013.parquet").as_posix())

    def fault(self, fault: faults.Fault, month: str) -> Found:
        """What the monitor and Evidently's preset say of a month with a fault."""
        rows = fault.change(self.month(month))
        self.log(rows)
        self.arrive(rows)
        began = time.perf_counter()
        seen = self.drift.watch()
        seconds = time.perf_counter() - began
        named = list(seen.broken)
        if seen.repeated > self.monitoring.max_repeated:
            named.insert(0, faults.ROWS)
        if seen.status == "degraded":
            named.append(self.model.manifest.target)
        if seen.status == "schema_error":
            named = [name for name in self.numeric if repr(name) in seen.reason]
        sample = self.with_answers(rows.sample(min(SAMPLE, len(rows)), random_state=1))
        return {
            "fault": fault.name,
            "month": month,
            "right": fault.named,
            "status": seen.status,
            "named": named,
            "reason": seen.reason,
            "seconds": seconds,
            "evidently": self.evidently(self.reference, sample),
        }

    def with_answers(self, rows: pd.DataFrame) -> pd.DataFrame:
        """The rows with the champion's answers beside them."""
        return rows.assign(**{self.answer: self.answers(rows)})

    def evidently(self, reference: pd.DataFrame, current: pd.DataFrame) -> Found:
        """The alarm of Evidently's preset as it comes, and the columns over its threshold."""
        from evidently import DataDefinition, Dataset, Report
        from evidently.presets import DataDriftPreset

        definition = DataDefinition(
            numerical_columns=[*(n for n, numeric in self.numeric.items() if numeric), self.answer],
            categorical_columns=[n for n, numeric in self.numeric.items() if not numeric],
        )
        names = [*self.numeric, self.answer]
        began = time.perf_counter()
        try:
            sides = (Dataset.from_pandas(x[names], definition) for x in (current, reference))
            found = json.loads(Report([DataDriftPreset()]).run(*sides).json())["metrics"]
        except ValueError as error:
            return {"error": str(error), "alarm": True, "named": []}
        alarm, distances = False, []
        for metric in found:
            settings, value = metric["config"], metric["value"]
            if "column" not in settings:
                alarm = value["share"] >= settings["drift_share"]
                continue
            test, limit = settings["method"], settings["threshold"]
            over = limit / max(value, 1e-300) if "p_value" in test else value / limit
            distances.append((over, settings["column"]))
        named = [name for over, name in sorted(distances, reverse=True) if over >= 1]
        return {"alarm": alarm, "named": named, "seconds": time.perf_counter() - began}

    def stationary(self, reference: pd.DataFrame, current: pd.DataFrame) -> bool:
        """Whether the monitor gives an alarm."""
        kinds = {**self.numeric, self.answer: True}
        moment = self.model.manifest.time
        compared = self.drift.compare(
            reference, current, kinds, self.importance, moment, self.monitoring
        )
        return bool(self.summary.drift_of(compared, 0.0, self.answer, self.monitoring))

    def false_alarms(self, seeds: int, peer_seeds: int) -> Found:
        """Alarms on the reference split in two at random, and on a holdout held to its half."""
        found: Found = {"seeds": seeds, "peer_seeds": peer_seeds}
        alarms: dict[str, int] = dict.fromkeys(
            (
                "halves",
                "few",
                "halves without time",
                "evidently",
                "evidently names a column",
                "labels",
            ),
            0,
        )
        untimed = self.reference.drop(columns=self.model.manifest.time)
        for seed in range(seeds):
            order = np.random.default_rng(seed).permutation(len(self.reference))
            half = len(order) // 2
            first, second = (self.reference.iloc[part] for part in (order[:half], order[half:]))
            alarms["halves"] += self.stationary(first, second)
            few, rest = (self.reference.iloc[part] for part in (order[:FEW], order[FEW:]))
            alarms["few"] += self.stationary(rest, few)
            one, other = (untimed.iloc[part] for part in (order[:half], order[half:]))
            alarms["halves without time"] += self.stationary(one, other)
            if seed < peer_seeds:
                theirs = self.evidently(first, second)
                alarms["evidently"] += theirs["alarm"]
                alarms["evidently names a column"] += bool(theirs["named"])
        alarms["labels"] = sum(self._labels(seeds))
        return found | {"alarms": alarms}

    def _labels(self, seeds: int) -> list[bool]:
        """For each seed whether half of the holdout is judged worse than the other half."""
        rows = duckdb.sql(f"FROM read_parquet('{self.paths.HOLDOUT}')").df()
        labels, answers = rows[self.model.manifest.target].to_numpy(), self.answers(rows)
        performance, tasks = self._import("monitoring.performance"), self._import("tasks")
        task = tasks.Task(self.model.manifest.task, self.model.manifest.classes, {})
        gate = self.config.read("gate", self.config.Gate)
        found = []
        for seed in range(seeds):
            order = np.random.default_rng(seed).permutation(len(rows))
            one, other = (np.sort(part)[::4] for part in np.array_split(order, 2))
            score = task.score(labels[one], answers[one])
            before = {name: score[name] for name in (gate.metric, gate.guard_metric)}
            judged = performance.judge(
                labels[other],
                answers[other],
                task.score,
                before,
                task.higher_is_better,
                self.monitoring.max_loss,
            )
            found.append(any(one.worse for one in judged))
        return found


def main(package: str, scratch: str, output: str, seeds: str, peer_seeds: str) -> None:
    """Run everything; progress goes to standard output."""
    watched = Watched(package, Path(scratch))
    found = []
    for fault in [faults.NONE, *faults.TEN, *faults.HARDER]:
        found += [watched.fault(fault, month) for month in MONTHS]
        named = [one["status"] for one in found[-len(MONTHS) :]]
        print(f"{fault.name}: {', '.join(named)}", flush=True)
    figures = {"faults": found, "stationary": watched.false_alarms(int(seeds), int(peer_seeds))}
    Path(output).write_text(json.dumps(figures, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
