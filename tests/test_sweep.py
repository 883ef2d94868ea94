"""Studies that are killed, stopped and used: exactly what was asked, and through conf/ only."""

import os
import random
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
import yaml

from demo.project import Project

from .chaos import asked, gone, small
from .conftest import Lived, git
from .inside import ask, ran, ready, refusal

PACKAGE = "customer_care"
MODEL = "hist_gradient_boosting"
TUNED = f"conf/tuned/{MODEL}.yaml"
TRIALS = 40
KILLS = 7
STATES = """
SELECT state, count(*) FROM trials GROUP BY state
"""
VALUES = """
SELECT t.number, group_concat(p.param_value) FROM trials t
JOIN (SELECT * FROM trial_params ORDER BY param_name) p USING (trial_id) GROUP BY t.number
"""
LOGGED = """
SELECT tag.value, run.status FROM runs run
JOIN tags tag ON tag.run_uuid = run.run_uuid AND tag.key = 'trial'
WHERE run.lifecycle_stage = 'active'
"""
STUDIES = """
SELECT run.status, run.name FROM runs run
JOIN tags tag ON tag.run_uuid = run.run_uuid AND tag.key = 'study'
"""

HELD = """
import json
from pathlib import Path
from flight_delays.sweep import command, space
found = {}
for path in Path("conf/model").glob("*.yaml"):
    order = command.understood([f"model={path.stem}"])
    found[path.stem] = bool(space.present(order.space, order.params.model))
print(json.dumps(found))
"""
BY_PARENT = """
SELECT tag.value, count(*) FROM runs run
JOIN tags tag ON tag.run_uuid = run.run_uuid AND tag.key = 'mlflow.parentRunId'
WHERE run.status IN ('FINISHED', 'KILLED') GROUP BY tag.value
"""


@pytest.fixture(scope="module")
def project(template: Path, life: Lived, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A small released project whose model is chosen to be swept."""
    made = small(template, tmp_path_factory.mktemp("swept"), life.project.folder / ".venv")
    path = made.folder / "conf/config.yaml"
    path.write_text(path.read_text().replace("model: logistic_regression", f"model: {MODEL}"))
    ready(made.folder)
    made.run("dvc", "repro")
    made.run("git", "commit", "--quiet", "--all", "--message", "Another model")
    return made


@contextmanager
def sweeping(project: Project, *settings: str) -> Iterator["subprocess.Popen[str]"]:
    """A sweep in a process group of its own, and what it prints."""
    python = str(project.folder / ".venv/bin/python")
    with subprocess.Popen(
        [python, "-m", f"{PACKAGE}.sweep", *settings],
        cwd=project.folder,
        env=project.environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
        # Where tests run in the background of a shell, Ctrl+C is turned off for all below it.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    ) as process:
        try:
            yield process
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)


def killed(project: Project, lines: int, wait: float, *settings: str) -> int | None:
    """Kill a sweep with all its workers so long after so many lines; its code if it had ended."""
    with sweeping(project, *settings) as process:
        assert process.stdout
        said = [process.stdout.readline() for _ in range(lines)]
        if not said or said[-1]:
            time.sleep(wait)  # the moment is what the test is about
        code = process.poll()
        if code is None:
            os.killpg(process.pid, signal.SIGKILL)
            gone(process.pid)
    return code


def as_asked(project: Project, trials: int) -> None:
    """Storage and MLflow hold each of the trials once, finished."""
    storage = project.folder / "var/optuna.db"
    states = dict(asked(storage, STATES))
    assert set(states) <= {"COMPLETE", "PRUNED"}
    assert sum(states.values()) == trials
    values = dict(asked(storage, VALUES))
    assert sorted(values) == list(range(trials))
    assert len(set(values.values())) == trials
    logged = asked(project.folder / "var/mlflow.db", LOGGED)
    assert Counter(int(number) for number, _ in logged) == dict.fromkeys(range(trials), 1)
    found = Counter(status for _, status in logged)
    assert found == {"FINISHED": states["COMPLETE"], "KILLED": states.get("PRUNED", 0)}
    ((status, _),) = asked(project.folder / "var/mlflow.db", STUDIES)
    assert status == "FINISHED"


def test_killed_again_and_again_it_ends_with_exactly_what_was_asked(project: Project) -> None:
    chance = random.Random(6)  # noqa: S311
    settings = (f"sweep.n_trials={TRIALS}",)
    assert killed(project, 0, 2.0, *settings) is None  # while it starts
    for _ in range(KILLS):
        killed(project, chance.randint(2, 9), chance.random() / 2, *settings)
    before = dict(asked(project.folder / "var/optuna.db", STATES))
    assert 10 < sum(before.values()) <= TRIALS
    project.run("python", "-m", f"{PACKAGE}.sweep", *settings)
    as_asked(project, TRIALS)


def test_what_is_found_reruns_train_and_evaluate_and_the_run_names_the_study(
    project: Project,
) -> None:
    (project.folder / TUNED).unlink(missing_ok=True)
    assert ran(project.run("dvc", "repro")) == [] or not git(project.folder, "status", "--short")
    before = project.json("params.json")["model"]["estimator"]

    said = project.make("sweep", f"SET=sweep.n_trials={TRIALS}")

    assert said.splitlines()[-2:] == [f"written: {TUNED}", "use it:  dvc repro"]
    assert ran(project.run("dvc", "repro")) == ["compose", "train", "evaluate"]
    model = project.json("params.json")["model"]
    found = yaml.safe_load((project.folder / TUNED).read_text())
    assert model["estimator"] == before | found["estimator"]
    assert model["estimator"] != before
    project.run("git", "add", "--all")
    project.run("git", "commit", "--quiet", "--message", "Better settings")
    project.run("python", "-m", f"{PACKAGE}.registry.release")
    query = "SELECT value FROM params WHERE key = 'model.study'"
    assert asked(project.folder / "var/mlflow.db", query) == [(model["study"],)]
    assert model["study"].startswith(f"{MODEL}-")
    # What was found is the model's now, and begins no other study.
    again = project.make("sweep", f"SET=sweep.n_trials={TRIALS}")
    assert f"{TRIALS} trials finished, {TRIALS} asked" in again


def stopped(project: Project, lines: int, wait: float, *settings: str) -> tuple[int, str]:
    """Press Ctrl+C once; the exit code and all that was printed."""
    with sweeping(project, *settings) as process:
        assert process.stdout
        said = "".join(process.stdout.readline() for _ in range(lines))
        time.sleep(wait)  # the moment is what the test is about
        os.killpg(process.pid, signal.SIGINT)
        said += process.stdout.read()
        return process.wait(), said


@pytest.mark.parametrize(
    ("lines", "wait"),
    [(0, 0.5), (0, 1.5), (0, 2.0), (0, 3.0), (0, 4.0), (1, 0.2), (2, 0.0), (6, 0.1)],
)
def test_ctrl_c_stops_in_good_order_and_says_how_to_go_on(
    lines: int, wait: float, project: Project
) -> None:
    settings = ("model=random_forest", f"sweep.n_trials={10 * TRIALS}")
    code, said = stopped(project, lines, wait, *settings)
    assert code == 130, said
    assert "Traceback" not in said
    assert said.splitlines()[-1].endswith(f'to go on: make sweep SET="{" ".join(settings)}"')
    assert said.splitlines()[-1].startswith("stopped")


def test_a_second_driver_of_the_same_study_says_so(project: Project) -> None:
    settings = ("model=random_forest", f"sweep.n_trials={10 * TRIALS}")
    with sweeping(project, *settings) as first:
        assert first.stdout
        assert "study random_forest-" in first.stdout.readline()
        said = refusal(project, "python", "-m", f"{PACKAGE}.sweep", *settings)
        assert "ended with 75" in said
        assert "another process holds the lock sweep-random_forest-" in said


def test_every_space_of_the_template_holds_the_settings_of_its_model(life: Lived) -> None:
    life.project.make(".venv/.dev")  # with LightGBM and XGBoost
    held = ask(life.project, HELD)
    assert len(held) == 5
    assert all(held.values()), held


@pytest.mark.full
def test_eight_studies_at_once_do_not_lock_each_other_out(project: Project) -> None:
    # Each is another study, since the settings that are given differ; all write to the same files.
    given = [f"model.estimator.max_iter={number}" for number in range(5, 13)]
    with ExitStack() as stack:
        started = [
            stack.enter_context(sweeping(project, one, "sweep.n_trials=12", "sweep.workers=1"))
            for one in given
        ]
        for process in started:
            said, _ = process.communicate(timeout=600)
            assert process.returncode == 0, said
            assert "not all trials are in MLflow" not in said
    query = "SELECT t.study_id, count(*) FROM trials t WHERE state IN ('COMPLETE', 'PRUNED')"
    counts = asked(project.folder / "var/optuna.db", f"{query} GROUP BY t.study_id")
    assert [count for _, count in counts][-8:] == [12] * 8
    children = asked(project.folder / "var/mlflow.db", BY_PARENT)
    assert [count for _, count in children].count(12) == 8
