"""What `make demo` tells at its end is true and complete."""

import re
from pathlib import Path

from demo.__main__ import summary

from .conftest import Lived


def test_the_summary_names_every_place_to_look_and_each_exists(life: Lived) -> None:
    said = summary(life.facts, life.seconds)

    places = dict(re.findall(r"^  (project|drift report|model card)\s+(/\S.*)$", said, re.M))
    assert set(places) == {"project", "drift report", "model card"}
    assert "temperature" in Path(places["drift report"]).read_text(encoding="utf-8")
    assert "version 2" in Path(places["model card"]).read_text(encoding="utf-8").splitlines()[0]
    assert Path(places["project"]) == life.project.folder
    commands = {
        "history": r"make history$",
        "MLflow": r"make ui .*http://127\.0\.0\.1:5000$",
        "service": r"make serve .*http://127\.0\.0\.1:8000$",
    }
    for name, command in commands.items():
        assert re.search(rf"^  {name}\s+cd {life.project.folder} && {command}", said, re.M), name


def test_the_summary_gives_the_metrics_and_each_steps_time(life: Lived) -> None:
    said = summary(life.facts, life.seconds)

    first, second = (life.facts[step]["metrics"]["model"] for step in ("repro", "retrain"))
    seen = life.facts["retrain"]["journal"]["monitoring"]
    for figure in (
        first["log_loss"],
        first["roc_auc"],
        second["roc_auc"],
        seen["performance"]["log_loss"],
    ):
        assert f"{figure:.4f}" in said
    assert f"drift: {life.facts['drift']['summary']['reason']}" in said
    for title, took in life.seconds.items():
        assert re.search(rf"^ +{took:.1f} s  {re.escape(title)}$", said, re.M), title
    assert f"{sum(life.seconds.values()):.1f} s  in all" in said
