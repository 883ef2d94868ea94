"""`make bench`: the pipeline against its peers, interleaved on this machine.

1. bake, environment and first run, beside a Kedro starter (when one is named);
2. an idle `dvc repro`, beside `dvc status` of the same project;
3. the whole pipeline and its tracking, beside one plain script that does the same.
"""

import os
import shutil
import sys
import tempfile
from pathlib import Path

from demo.project import Project, bake

from . import kedro
from .timing import ratio, seconds, timed

PLAIN = Path(__file__).with_name("plain.py")
TRACK = (
    "from {0}.registry import lineage, tracking; from {0}.registry.store import Store; "
    "from {0} import config; tracking.track(Store(config.read('name', str)), lineage.read())"
)


def first_run(folder: Path) -> dict[str, float]:
    """Seconds of our bake, environment and first `dvc repro`, in a fresh folder."""
    environment = Project(folder).environment
    template = str(Path(__file__).resolve().parents[1])
    command = [sys.executable, "-m", "cookiecutter", template, "--no-input", "-o", str(folder)]
    folder.mkdir(parents=True)
    baked = timed(folder, environment, command)
    project = folder / "flight-delays"
    installed = timed(project, environment, ["make", "env"])
    run = timed(project, active(project), ["dvc", "repro"])
    return {"bake": baked, "environment": installed, "run": run}


def active(project: Path) -> dict[str, str]:
    """Environment variables with the project's environment activated."""
    environment = Project(project).environment
    return {**environment, "PATH": f"{project / '.venv/bin'}{os.pathsep}{environment['PATH']}"}


def against_kedro(scratch: Path, starter: str, rounds: int) -> None:
    """Print bake, environment and first run of both."""
    uv = shutil.which("uv")
    assert uv
    found: dict[str, list[dict[str, float]]] = {"ours": [], "kedro": []}
    first_run(scratch / "warm")  # the package cache, as Kedro's is warmed
    shutil.rmtree(scratch / "warm")
    for number in range(rounds):
        found["kedro"].append(kedro.measure(scratch / f"kedro-{number}", uv, starter))
        found["ours"].append(first_run(scratch / f"ours-{number}"))
        for name in ("kedro", "ours"):
            shutil.rmtree(scratch / f"{name}-{number}")
    print("first run (bake + environment with a warm package cache + run)")
    for name, results in found.items():
        phases = {phase: seconds([r[phase] for r in results]) for phase in results[0]}
        whole = seconds([sum(r.values()) for r in results])
        print(f"  {name:6} {phases} in all {whole}")
    totals = {name: [sum(r.values()) for r in results] for name, results in found.items()}
    print(f"  ours / kedro: {ratio(totals['ours'], totals['kedro'])}")


def idle(project: Path, rounds: int) -> None:
    """Print an idle repro beside a status."""
    repro, status = [], []
    for _ in range(rounds + 1):
        repro.append(timed(project, active(project), ["dvc", "repro"]))
        status.append(timed(project, active(project), ["dvc", "status"]))
    repro, status = repro[1:], status[1:]  # the first one warms up
    print(f"idle: dvc repro {seconds(repro)}, dvc status {seconds(status)}")
    print(f"  repro / status: {ratio(repro, status)}")


def against_script(project: Path, scratch: Path, rounds: int) -> None:
    """Print the pipeline with its tracking beside the plain script."""
    package = next((project / "src").iterdir()).name
    prepared = scratch / "var"
    # Both begin with an initialised tracking store, and both log a run that is new to it.
    timed(project, {**active(project), "VAR_DIR": str(prepared)}, _track(package, init=True))
    pipeline, tracking, script = [], [], []
    for number in range(rounds + 1):
        var, place = scratch / f"var-{number}", scratch / f"plain-{number}"
        shutil.copytree(prepared, var)
        place.mkdir()
        shutil.copy(prepared / "mlflow.db", place)
        environment = {**active(project), "VAR_DIR": str(var)}
        pipeline.append(timed(project, environment, ["dvc", "repro", "--force"]))
        tracking.append(timed(project, environment, _track(package)))
        command = ["python", str(PLAIN), package, str(place)]
        script.append(timed(project, environment, command))
    pipeline, tracking, script = pipeline[1:], tracking[1:], script[1:]
    whole = [a + b for a, b in zip(pipeline, tracking, strict=True)]
    print(f"pipeline: dvc repro --force {seconds(pipeline)}, tracking {seconds(tracking)}")
    print(f"plain script, with its logging: {seconds(script)}")
    print(f"  dvc repro / script: {ratio(pipeline, script)}")
    print(f"  dvc repro and tracking / script: {ratio(whole, script)}")


def _track(package: str, init: bool = False) -> list[str]:
    code = TRACK.format(package)
    if init:
        code = code.split("; tracking.track")[0] + "; Store(config.read('name', str))"
    return ["python", "-c", code]


def main(starter: str = "", rounds: str = "5") -> None:
    """Run all three; without a starter the first is left out, and said so."""
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        project = Project(bake(scratch / "project"))
        project.make("env")
        project.run("dvc", "repro")
        idle(project.folder, 3 * int(rounds))
        against_script(project.folder, scratch, int(rounds))
        if starter:
            against_kedro(scratch, starter, int(rounds))
        else:
            print("first run beside Kedro: left out, name a starter: make bench STARTER=...")


if __name__ == "__main__":
    main(*sys.argv[1:])
