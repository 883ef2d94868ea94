"""What the files of deploy/ say, read for the tests."""

import json
import re
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from ..project import ROOT

DEPLOY = ROOT / "deploy"
PROMETHEUS = DEPLOY / "prometheus"
MANIFESTS = sorted((DEPLOY / "kubernetes").glob("*.yaml"))


class Step(NamedTuple):
    """One instruction of the Dockerfile, in the stage with that number."""

    stage: int
    name: str
    value: str


@cache
def dockerfile() -> list[Step]:
    """The instructions in their order, continued lines joined, arguments at their defaults."""
    text = (DEPLOY / "Dockerfile").read_text(encoding="utf-8")
    lines = re.sub(r"^#.*\n", "", text, flags=re.MULTILINE).replace("\\\n", " ").splitlines()
    found: list[Step] = []
    for line in filter(None, lines):
        name, _, value = line.partition(" ")
        for argument in (step.value for step in found if step.name == "ARG"):
            variable, _, default = argument.partition("=")
            value = value.replace(f"${variable}", default)
        stage = sum(step.name == "FROM" for step in found) - (name != "FROM")
        found.append(Step(stage, name, value.strip()))
    return found


def values(name: str, stage: int | None = None) -> list[str]:
    """What each instruction of that name says, in one stage or in all."""
    return [x.value for x in dockerfile() if x.name == name and stage in (None, x.stage)]


def environment() -> dict[str, str]:
    """The variables that the image sets."""
    return dict(pair.split("=", 1) for value in values("ENV", 1) for pair in value.split())


def document(path: Path) -> dict[str, Any]:
    """What a file of YAML or JSON holds."""
    found: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return found


def compose() -> dict[str, Any]:
    """The services of compose.yaml."""
    return dict(document(DEPLOY / "compose.yaml")["services"])


def manifest(kind: str) -> dict[str, Any]:
    """The one Kubernetes manifest of that kind."""
    (found,) = (doc for doc in map(document, MANIFESTS) if doc["kind"] == kind)
    return found


def pod() -> dict[str, Any]:
    """The specification of the service's pods."""
    return dict(manifest("Deployment")["spec"]["template"]["spec"])


def rules() -> list[dict[str, Any]]:
    """The alert rules."""
    groups = document(PROMETHEUS / "alerts.yml")["groups"]
    return [rule for group in groups for rule in group["rules"]]


def panels() -> list[dict[str, Any]]:
    """The panels of the dashboard."""
    text = (DEPLOY / "grafana/dashboards/service.json").read_text(encoding="utf-8")
    return list(json.loads(text)["panels"])


def queries() -> list[str]:
    """Every PromQL expression of the rules and the dashboard."""
    shown = [target["expr"] for panel in panels() for target in panel["targets"]]
    return [rule["expr"] for rule in rules()] + shown
