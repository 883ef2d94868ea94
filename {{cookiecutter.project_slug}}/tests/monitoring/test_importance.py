from pathlib import Path
from typing import Any

import pytest

from {{ cookiecutter.__package }}.monitoring.importance import importance
from {{ cookiecutter.__package }}.serving.explain import Explanation

from .. import customers
from . import traffic


def test_the_columns_that_the_label_does_not_depend_on_matter_least(replaced: Path) -> None:
    found = importance(traffic.model())
    ordered = sorted(found, key=lambda name: -found[name])
    assert set(found) == {*customers.PARAMS["data"]["columns"]}
    assert set(ordered[-2:]) == {"annual income (€)", "friend's plan"}
    assert found == importance(traffic.model())


def test_the_importance_is_the_mean_size_of_the_contributions(
    replaced: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = traffic.model()
    explained = []
    explain = model.explain

    def noted(row: Any) -> Explanation:
        explained.append(explain(row))
        return explained[-1]

    monkeypatch.setattr(model, "explain", noted)
    found = importance(model)
    assert 100 <= len(explained) <= 200
    assert found["age"] == pytest.approx(sum(abs(one.contributions["age"]) for one in explained))
