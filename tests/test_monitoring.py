"""The monitor stays quiet on traffic like the training data. That it fires: test_life.py."""

from pathlib import Path

from .conftest import Lived
from .inside import ask, copy

ROWS = """
import json
import duckdb
found = duckdb.sql(
    "SELECT * EXCLUDE (flight_id, scheduled_departure, late) FROM (FROM read_parquet(["
    "'data/raw/2013-01.parquet', 'data/raw/2013-02.parquet', 'data/raw/2013-03.parquet', "
    "'data/raw/2013-04.parquet', 'data/raw/2013-05.parquet'])) "
    "USING SAMPLE reservoir(4000 ROWS) REPEATABLE (7)"
)
names = found.columns
print(json.dumps([dict(zip(names, row)) for row in found.fetchall()]))
"""


def test_traffic_like_the_training_months_is_no_drift(life: Lived, tmp_path: Path) -> None:
    # ZEN 6: a gate that cannot fire; one that always fires would be as useless.
    project = copy(life.project, tmp_path / "copy")
    for log in (project.folder / "var/predictions").iterdir():
        log.unlink()
    project.make("drift")
    assert project.json("var/monitoring/latest.json")["status"] == "insufficient_data"

    rows = ask(project, ROWS)
    with project.serving():
        reply = project.post("/predict", rows)
    assert reply["version"] == 1
    assert len(reply["predictions"]) == 4000
    said = project.make("drift")

    seen = project.json("var/monitoring/latest.json")
    assert seen["status"] == "ok"
    assert seen["rows"] == 4000
    assert seen["version"] == 1
    assert "prediction" not in seen["drift"]
    assert len(seen["drift"]) <= 1
    assert "status: ok" in said
    report = project.folder / "var/monitoring" / seen["report"]
    assert "temperature" in report.read_text(encoding="utf-8")
