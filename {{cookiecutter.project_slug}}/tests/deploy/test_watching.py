"""Prometheus' rules and Grafana's dashboard: every name in them is one that the service exports."""

import re
import shutil
import subprocess

import pytest
from prometheus_client.metrics import MetricWrapperBase

from {{ cookiecutter.__package }}.serving import metrics

from . import shipped

SUFFIXES = {"counter": ("_total",), "histogram": ("_bucket", "_sum", "_count"), "gauge": ("",)}
OWN = {"up", "ALERTS"}  # Prometheus' own series
METRIC = re.compile(r"\b([a-z][a-z0-9_]*_[a-z0-9_]+|up)\{")

needs_promtool = pytest.mark.skipif(
    shutil.which("promtool") is None, reason="promtool is not installed (Debian: prometheus)"
)


def exported() -> dict[str, set[str]]:
    """Every series that the service exports, with its labels."""
    found = [thing for thing in vars(metrics).values() if isinstance(thing, MetricWrapperBase)]
    described = [(metric, family) for metric in found for family in metric.describe()]
    return {
        family.name + suffix: {*metric._labelnames, "job", "instance", "pid", "le"}
        for metric, family in described
        for suffix in SUFFIXES[family.type]
    }


def used(query: str) -> set[str]:
    """The metrics that an expression names; all of them have a selector."""
    return set(METRIC.findall(query)) - OWN


@pytest.mark.parametrize("query", shipped.queries())
def test_every_metric_of_a_query_is_exported_by_the_service(query: str) -> None:
    assert used(query) <= set(exported())
    assert used(query) or "up{" in query


def test_the_metrics_of_the_service_are_all_looked_at() -> None:
    text = "\n".join(shipped.queries())
    families = {re.sub(r"_(bucket|sum|count)$", "", name) for name in exported()}
    assert {name for name in families if name not in text} == set()


@pytest.mark.parametrize("query", shipped.queries())
def test_every_label_of_a_query_is_one_of_its_metrics(query: str) -> None:
    known = exported() | {"up": {"job", "instance"}}
    for name, selector in re.findall(r"(\w+)\{(.*?)\}", query):
        assert set(re.findall(r"(\w+)[!=]~?\"", selector)) <= known[name], name
    grouped = re.findall(r"\bby \((.*?)\)", query)
    labels = set().union(*(known[name] for name in [*used(query), "up"]))
    assert {label for names in grouped for label in names.split(", ")} <= labels


def test_every_query_asks_for_the_job_that_prometheus_scrapes() -> None:
    (job,) = shipped.document(shipped.PROMETHEUS / "prometheus.yml")["scrape_configs"]
    for query in shipped.queries():
        assert set(re.findall(r'job="(.*?)"', query)) == {job["job_name"]}, query


def test_every_alert_says_what_to_do_and_has_an_example() -> None:
    files = shipped.PROMETHEUS.glob("alerts.*test.yml")
    examples = "\n".join(file.read_text(encoding="utf-8") for file in files)
    names = [rule["alert"] for rule in shipped.rules()]
    assert len(set(names)) == len(names) >= 8
    for rule in shipped.rules():
        assert rule["labels"]["severity"] in ("critical", "warning")
        assert rule["annotations"]["summary"].count(". ") == 1
        assert rule["alert"] in examples


def test_the_dashboard_asks_the_provisioned_prometheus() -> None:
    (source,) = shipped.document(shipped.DEPLOY / "grafana/datasources/prometheus.yaml")[
        "datasources"
    ]
    assert {panel["datasource"]["uid"] for panel in shipped.panels()} == {source["uid"]}
    host, port = re.fullmatch(r"http://(\w+):(\d+)", source["url"]).groups()  # type: ignore[union-attr]
    (published,) = shipped.compose()[host]["ports"]
    assert published.rpartition(":")[2] == port


def test_the_panels_are_told_apart_and_do_not_overlap() -> None:
    panels = shipped.panels()
    assert len({panel["id"] for panel in panels}) == len(panels)
    cells = [
        (column, row)
        for place in (panel["gridPos"] for panel in panels)
        for column in range(place["x"], place["x"] + place["w"])
        for row in range(place["y"], place["y"] + place["h"])
    ]
    assert len(set(cells)) == len(cells)
    assert max(column for column, _ in cells) < 24


@needs_promtool
@pytest.mark.parametrize(
    "command",
    [
        ["check", "config", "--syntax-only", "prometheus.yml"],
        ["check", "rules", "--lint-fatal", "alerts.yml"],
        ["test", "rules", *map(str, shipped.PROMETHEUS.glob("*.test.yml"))],
    ],
    ids=lambda command: " ".join(command[:2]),
)
def test_promtool_accepts_the_configuration_the_rules_and_their_examples(
    command: list[str],
) -> None:
    done = subprocess.run(
        ["promtool", *command], cwd=shipped.PROMETHEUS, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "SUCCESS" in done.stdout
