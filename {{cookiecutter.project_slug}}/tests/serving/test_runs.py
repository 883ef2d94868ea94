from datetime import UTC, datetime
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from {{ cookiecutter.__package }} import files
from {{ cookiecutter.__package }}.serving import runs

from .figures import figure

FIGURES = {
    runs.RETRAINED: "retrain_last_success_timestamp_seconds",
    runs.MONITORED: "monitor_last_success_timestamp_seconds",
}
AT = datetime(2024, 6, 2, 3, 17, tzinfo=UTC)


@pytest.mark.parametrize("name", FIGURES)
def test_a_scrape_tells_when_a_run_last_ended_well(
    name: str, client: TestClient, var: Path
) -> None:
    client.get("/metrics")
    assert figure(FIGURES[name]) == 0
    seen = {"at": AT.isoformat(timespec="seconds"), "outcome": "refused", "rows": 7}
    files.write_json(var / "monitoring" / name, seen)
    assert f"{FIGURES[name]} 1.71729822e+09" in client.get("/metrics").text
    assert figure(FIGURES[name]) == AT.timestamp()
    (var / "monitoring" / name).unlink()
    client.get("/metrics")
    assert figure(FIGURES[name]) == 0


@pytest.mark.parametrize("text", ["", "[]", '{"outcome": "promoted"}', '{"at": 7}'])
def test_a_broken_file_is_a_run_that_never_was(text: str, client: TestClient, var: Path) -> None:
    (var / "monitoring").mkdir()
    (var / "monitoring" / runs.RETRAINED).write_text(text)
    assert client.get("/metrics").status_code == 200
    assert client.get("/model").json()["retrained"] is None
    assert figure(FIGURES[runs.RETRAINED]) == 0


def test_the_model_s_facts_tell_of_the_last_retraining(client: TestClient, var: Path) -> None:
    assert client.get("/model").json()["retrained"] is None
    done = {"at": AT.isoformat(timespec="seconds"), "outcome": "nothing_to_do"}
    files.write_json(var / "monitoring" / runs.RETRAINED, done)
    assert client.get("/model").json()["retrained"] == done
