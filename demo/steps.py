"""The life of a project, one step a function; each returns what the summary and the tests need."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from .project import Project, bake, remove

Facts = dict[str, Any]
TRAFFIC = "2013-07"


class StepFailed(Exception):
    """What a step did not do as promised."""


class Life:
    """One project from bake to rollback; the steps run in the order of `steps`."""

    def __init__(self, output: Path, show: Callable[[str], None]) -> None:
        self.output = output
        self._show = show
        self._open = ExitStack()
        self.project: Project
        self.example: Facts = {}

    def close(self) -> None:
        """Stop the service, if it runs."""
        self._open.close()

    def steps(self) -> Iterator[tuple[str, Callable[[], Facts]]]:
        """Title and function of each step."""
        yield "bake the default project", self.bake
        yield "prepare its environment (make env)", self.environment
        yield "data to evaluated model (dvc repro)", self.repro
        yield "a second dvc repro finds nothing to do", self.repro_again
        yield "register, gate, promote (make release)", self.release
        yield "serve the champion (make serve)", self.serve
        yield "one prediction over HTTP", self.predict
        yield f"flights of {TRAFFIC} as traffic (make replay)", self.replay
        yield "compare traffic and training data (make drift)", self.drift
        yield f"{TRAFFIC} arrives with its labels (make arrive)", self.arrive
        yield "retrain; the gate decides (make retrain)", self.retrain
        yield "the running service answers by the new version", self.swapped
        yield "roll back (make rollback)", self.rollback
        yield "the running service answers by the old version again", self.swapped_back
        yield "stop the service", self.stop

    def bake(self) -> Facts:
        """Bake, and commit what was baked, as a user would."""
        remove(self.output)
        self.project = Project(bake(self.output), self._show)
        self.project.run("git", "add", "--all")
        self.project.run("git", "commit", "--quiet", "--message", "The project as generated")
        return {"folder": str(self.project.folder)}

    def environment(self) -> Facts:
        """Install."""
        self.project.make("env")
        return {}

    def repro(self) -> Facts:
        """Run the pipeline."""
        said = self.project.run("dvc", "repro")
        self.project.run("git", "add", "--all")
        self.project.run("git", "commit", "--quiet", "--message", "The first evaluated model")
        return {
            "stages": said.count("Running stage"),
            "metrics": self.project.json("reports/metrics.json"),
        }

    def repro_again(self) -> Facts:
        """Nothing may run."""
        said = self.project.run("dvc", "repro")
        if "Running stage" in said or "up to date" not in said:
            raise StepFailed("the second `dvc repro` ran a stage again")
        return {"stages": 0}

    def release(self) -> Facts:
        """Promote the first model."""
        said = self.project.make("release")
        return {"said": said, "history": self.project.lines("var/history.jsonl")}

    def serve(self) -> Facts:
        """Start the service."""
        self.process = self._open.enter_context(self.project.serving())
        return {"model": self.project.get("/model"), "address": self.project.address}

    def predict(self) -> Facts:
        """Ask for the example row of the API's own description."""
        described = self.project.get("/openapi.json")["paths"]["/predict"]["post"]
        content = described["requestBody"]["content"]["application/json"]
        self.example = content["examples"]["one row"]["value"]
        answer = self.project.post("/predict", self.example)
        self._show(f"{self.example} -> {answer}")
        return {"row": self.example, "answer": answer}

    def replay(self) -> Facts:
        """Send a month of flights that the model has never seen."""
        self.project.make("replay", f"PARTITION={TRAFFIC}")
        logs = sorted((self.project.folder / "var/predictions").glob("*.jsonl"))
        rows = sum(log.read_bytes().count(b"\n") for log in logs)
        return {"logged": rows}

    def drift(self) -> Facts:
        """Watch the traffic."""
        self.project.make("drift")
        return {"summary": self.project.json("var/monitoring/latest.json")}

    def arrive(self) -> Facts:
        """The month's data arrive."""
        return {"said": self.project.make("arrive", f"PARTITION={TRAFFIC}")}

    def retrain(self) -> Facts:
        """Retrain beside the running service."""
        self.project.make("retrain")
        entry = self.project.lines("var/journal.jsonl")[-1]
        if entry["outcome"] != "promoted":
            raise StepFailed(f"the gate did not promote: {entry['decision']['reason']}")
        return {
            "journal": entry,
            "metrics": self.project.json("reports/metrics.json"),
            "bundle": self.project.json("var/bundles/champion.json")["bundle"],
        }

    def swapped(self) -> Facts:
        """The same process answers by version 2."""
        return self._answers_by(2)

    def rollback(self) -> Facts:
        """Swap champion and previous."""
        return {"said": self.project.make("rollback")}

    def swapped_back(self) -> Facts:
        """The same process answers by version 1."""
        return self._answers_by(1)

    def _answers_by(self, version: int) -> Facts:
        def asked() -> Any:
            return self.project.post("/predict", self.example)

        seconds = self.project.wait(lambda: bool(asked()["version"] == version), self.process)
        answer = asked()
        self._show(f"version {version} answers {seconds:.2f} s later: {answer}")
        return {"answer": answer, "model": self.project.get("/model"), "pid": self.process.pid}

    def stop(self) -> Facts:
        """SIGTERM, and nothing is left of it."""
        self.close()
        return {"code": self.process.returncode}
