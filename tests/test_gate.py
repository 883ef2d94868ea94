"""The gate can refuse, as baked; what it refuses serves nobody. In copies of a life."""

from pathlib import Path
from typing import Any

import pytest

from demo.project import Project

from .conftest import Lived
from .inside import REGISTRY, ask, copy, edit, refusal


@pytest.fixture
def other(life: Lived, tmp_path: Path) -> Project:
    """A copy of the lived project: version 1 serves, version 2 was rolled back."""
    return copy(life.project, tmp_path / "copy")


def standing(project: Project) -> tuple[Any, Any, Any]:
    """Aliases, versions and the pointer of the service."""
    found = ask(project, REGISTRY)
    return found["aliases"], found["versions"], project.json("var/bundles/champion.json")


def test_a_worse_model_is_refused_and_the_champion_stays(other: Project) -> None:
    # FMP 3: the newest version was promoted unconditionally, and evaluated afterwards.
    # DBX 4: failed rules were ignored. AZU 5: `deploy_flag=1`. LHT 10, CCDS 9: no gate at all.
    before, bundles = standing(other), sorted((other.folder / "var/bundles").iterdir())
    told = other.make("exp", "SET=model.estimator.max_iter=1")
    assert "champion" in told
    assert other.json("params.json")["model"]["estimator"]["max_iter"] == 1

    said = refusal(other, "make", "release")

    metrics = other.json("reports/metrics.json")
    skill = 1 - metrics["model"]["log_loss"] / metrics["baseline"]["log_loss"]
    assert 0 < skill < 0.02
    assert "refused by rule min_skill; the champion stays" in said
    line = other.lines("var/history.jsonl")[-1]
    assert (line["event"], line["rule"], line["version"]) == ("refused", "min_skill", None)
    assert line["reason"].endswith(f"{skill:.1%} better, 2.0% needed")
    assert standing(other) == before
    assert sorted((other.folder / "var/bundles").iterdir()) == bundles

    # Good enough for the baseline's rule, it is still worse than the champion.
    edit(other, "conf/gate/default.yaml", "min_skill: 0.02", "min_skill: 0.0")
    other.run("dvc", "repro")
    said = refusal(other, "make", "release")

    assert "refused by rule min_gain; the champion stays" in said
    line = other.lines("var/history.jsonl")[-1]
    assert (line["event"], line["rule"]) == ("refused", "min_gain")
    assert "gain -0." in line["reason"]
    assert standing(other) == before


def test_a_version_that_was_rolled_back_returns_only_by_force(other: Project) -> None:
    before = standing(other)

    said = refusal(other, "make", "release")

    assert "refused: version 2 was rolled back on 20" in said
    line = other.lines("var/history.jsonl")[-1]
    assert (line["event"], line["version"]) == ("refused", 2)
    assert standing(other) == before

    assert "version 2 is champion" in other.make("release", "FORCE=1")
    aliases, versions, pointer = standing(other)
    assert aliases == {"champion": 2, "previous": 1}
    assert set(versions) == {"1", "2"}
    assert pointer["bundle"].startswith("v2-")
    told = [(line["event"], line["version"]) for line in other.lines("var/history.jsonl")]
    assert told[3:] == [("refused", 2), ("promoted", 2)]

    assert "version 2 is this model already" in other.make("release")
    assert len(other.lines("var/history.jsonl")) == len(told)


def test_retraining_with_nothing_new_does_nothing_and_says_so(other: Project) -> None:
    # Quiet traffic and no new month: a scheduled run leaves everything as it was.
    for log in (other.folder / "var/predictions").iterdir():
        log.unlink()
    edit(other, "conf/retrain/default.yaml", "arrive: next", "arrive: none")
    before = standing(other)

    said = other.make("retrain")

    entry = other.lines("var/journal.jsonl")[-1]
    assert entry["outcome"] == "nothing_to_do"
    assert entry["reasons"] == entry["new_partitions"] == []
    assert entry["monitoring"]["status"] == "insufficient_data"
    assert "nothing to do" in said
    assert standing(other) == before
