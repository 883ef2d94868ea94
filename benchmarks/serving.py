"""`python -m benchmarks.serving`: the prediction service against its peers on this machine.

Every round starts each contestant in turn, warms it, measures it and ends it, so that noise hits
all alike. The server has core 0 and the load core 1; the service with two workers and its load
share both. Needs Linux, two cores and `wrk`.
"""

import argparse
import json
import os
import shutil
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median

from demo.project import Project, bake

from . import load, serving_report
from .peers import MLFLOW, OURS, PAIR, Contestant, Row, contestants, variables
from .process import Server, Usage, idle, post
from .timing import timed

ROWS = 1000  # real rows, sent in turn one by one; also the size of a batch
TOLERANCE = 1e-9  # of a probability, from scikit-learn's
CONNECTIONS, SATURATING = 16, 64  # the latter for each worker
WARM, LONG, SHORT = 2, 5, 3  # seconds
BESIDE = (OURS, MLFLOW)  # measured with batches beside single rows

Figures = dict[str, float]


class Bench:
    """The contestants and what they are sent."""

    def __init__(self, project: Project, scratch: Path) -> None:
        self._project, self._scratch = project, scratch
        self.contestants = contestants(project, scratch)
        self._rows, self._expected = real_rows(project, scratch)
        for contestant in self.contestants:
            self._bodies(contestant, "single").write_text(
                "".join(json.dumps(contestant.body([row])) + "\n" for row in self._rows)
            )
            if contestant.batches:
                orders = [self._rows[at:] + self._rows[:at] for at in range(0, ROWS, ROWS // 4)]
                self._bodies(contestant, "batch").write_text(
                    "".join(json.dumps(contestant.body(rows)) + "\n" for rows in orders)
                )

    def check(self, contestant: Contestant) -> None:
        """Hold its answers to scikit-learn's, row by row and as a batch; also fills its caches.

        Raises `RuntimeError` when one is off.
        """
        with self._running(contestant):
            requests = [[row] for row in self._rows]
            found = [self._ask(contestant, rows) for rows in requests]
            if contestant.read is None:
                return
            if contestant.batches:
                requests.append(self._rows)
                found.append(self._ask(contestant, self._rows))
        expected = [[one] for one in self._expected] + [self._expected]
        for theirs, rights in zip(found, expected, strict=False):
            furthest = max(abs(a - b) for a, b in zip(theirs, rights, strict=True))
            if not furthest <= TOLERANCE:
                raise RuntimeError(f"{contestant.name} is {furthest:.1e} off scikit-learn's answer")

    def measure(self, contestant: Contestant) -> Figures:
        """All figures of one contestant in one round."""
        with self._running(contestant) as server:
            found = {"start": server.seconds}
            self._load(contestant, "single", CONNECTIONS, WARM)
            before, rested = server.usage(), idle(contestant.cores)
            many = self._load(contestant, "single", CONNECTIONS, LONG)
            rested = idle(contestant.cores) - rested
            used = sum(spent(before, after := server.usage()))
            found |= {"rate": many.rate, "cpu": used / many.answers * 1e6}
            found |= {"others": max(0.0, 1 - (used + rested) / many.seconds)}
            found |= {"resident": sum(after.resident.values())}
            found |= {"largest": max(after.resident.values())}
            alone = self._load(contestant, "single", 1, SHORT)
            found |= {"p50": alone.p50, "p99": alone.p99, "worst": alone.worst}
            if contestant.batches:
                self._load(contestant, "batch", 1, 1)
                batch = self._load(contestant, "batch", 1, SHORT)
                found |= {"batch": batch.p50, "rows 1": batch.rate * ROWS}
                found["rows 4"] = self._load(contestant, "batch", 4, SHORT).rate * ROWS
            if contestant.name in BESIDE:
                found |= self._beside(contestant)
        return found

    def _beside(self, contestant: Contestant) -> Figures:
        """Single rows on one connection while two others send batches without a pause."""
        address = self._address(contestant)
        batches = load.begin(address, self._bodies(contestant, "batch"), 2, LONG)
        singles = self._load(contestant, "single", 1, SHORT)
        if batches.poll() is not None:
            raise RuntimeError("the batches ended before the single rows beside them")
        rate = load.end(batches).rate
        found = {"p50": singles.p50, "p99": singles.p99, "worst": singles.worst, "rate": rate}
        return {f"beside {name}": value for name, value in found.items()}

    def saturate(self, contestant: Contestant) -> Figures:
        """Answers per CPU second that a saturated server has used, and that it could have used.

        It could have used what its cores were idle: neither a load beside it on the same cores nor
        anybody else's work counts against it, but a worker that has too little to do does. One with
        less than a quarter of the work is no worker: others may have taken what it left idle.
        """
        cores = contestant.cores
        connections = SATURATING * len(cores.split(","))
        with self._running(contestant) as server:
            self._load(contestant, "single", connections, WARM)
            before, rested = server.usage(), idle(cores)
            found = self._load(contestant, "single", connections, LONG)
            rested = idle(cores) - rested
            used = spent(before, server.usage())
        return {
            "rate": found.rate,
            "per second used": found.answers / sum(used),
            "per second available": found.answers / (sum(used) + rested),
            "busiest": max(used) / sum(used),
            "workers": sum(one >= sum(used) / 4 for one in used),
        }

    @contextmanager
    def _running(self, contestant: Contestant) -> Iterator[Server]:
        log = self._scratch / f"{contestant.name}.log"
        command = [str(contestant.venv / "bin" / contestant.command[0]), *contestant.command[1:]]
        environment = variables(contestant, self._project)
        server = Server(command, contestant.folder, environment, contestant.cores, log)
        try:
            body = json.dumps(contestant.body(self._rows[:1])).encode()
            server.wait(contestant.port, contestant.path, body)
            yield server
        finally:
            server.stop()
            shutil.rmtree(self._scratch / "var/predictions", ignore_errors=True)

    def _ask(self, contestant: Contestant, rows: list[Row]) -> list[float]:
        body = json.dumps(contestant.body(rows)).encode()
        answer = post(contestant.port, contestant.path, body)
        return contestant.read(answer) if contestant.read else []

    def _load(self, contestant: Contestant, kind: str, connections: int, seconds: int) -> load.Load:
        cores = "0,1" if "," in contestant.cores else "1"
        bodies = self._bodies(contestant, kind)
        return load.run(self._address(contestant), bodies, connections, seconds, cores)

    def _bodies(self, contestant: Contestant, kind: str) -> Path:
        return self._scratch / f"{contestant.name}.{kind}"

    def _address(self, contestant: Contestant) -> str:
        return f"http://127.0.0.1:{contestant.port}{contestant.path}"


def real_rows(project: Project, scratch: Path) -> tuple[list[Row], list[float]]:
    """Rows of the project's newest partition, and scikit-learn's probabilities for them."""
    script, output = Path(__file__).with_name("real_rows.py"), scratch / "rows.json"
    package = next((project.folder / "src").iterdir()).name
    python = str(project.folder / ".venv/bin/python")
    command = [python, str(script), package, str(ROWS), str(output)]
    timed(project.folder, project.environment, command)
    found = json.loads(output.read_text(encoding="utf-8"))
    return found["rows"], found["expected"]


def spent(before: Usage, after: Usage) -> list[float]:
    """CPU seconds of each process in between."""
    return [used - before.cpu.get(pid, 0.0) for pid, used in after.cpu.items()]


def run(project: Project, scratch: Path, rounds: int) -> None:
    """Check everyone, measure in interleaved rounds, print the tables."""
    os.sched_setaffinity(0, {1})  # the harness stays off the server's core
    bench = Bench(project, scratch)
    for contestant in bench.contestants:
        bench.check(contestant)
        print(f"{contestant.name}: answers checked", flush=True)
    single = [one for one in bench.contestants if one.name != PAIR]
    scaled = [one for one in bench.contestants if one.name in (OURS, PAIR)]
    found: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for number in range(rounds):
        at = number % len(single)
        for contestant in [*single[at:], *single[:at]]:
            for name, value in bench.measure(contestant).items():
                found[contestant.name][name].append(value)
        for contestant in scaled:
            for name, value in bench.saturate(contestant).items():
                found[contestant.name][f"saturated {name}"].append(value)
        print(f"round {number + 1} of {rounds} done", flush=True)
    others = [share for figures in found.values() for share in figures["others"]]
    print(f"of the server's core others took {median(others):.0%}, at most {max(others):.0%}")
    sizes = {one.name: serving_report.size(one.venv) for one in single}
    serving_report.show(found, sizes)


def main() -> None:
    """Bake a project, or take one that has a champion."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.serving", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--project", type=Path, help="a project with a champion; none: bake one")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        project = Project(given.project.resolve() if given.project else bake(scratch / "project"))
        project.make("env")
        if not given.project:
            project.run("dvc", "repro")
            project.make("release")
        run(project, scratch, given.rounds)


if __name__ == "__main__":
    main()
