"""A bundle answers as the model does, by arrays where they are exact, else by scikit-learn."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
import pytest
from sklearn.dummy import DummyClassifier

from {{ cookiecutter.__package }} import config, paths, table
from {{ cookiecutter.__package }}.cli import Refusal
from {{ cookiecutter.__package }}.pipeline import train
from {{ cookiecutter.__package }}.registry import build as module
from {{ cookiecutter.__package }}.registry import lineage, portable
from {{ cookiecutter.__package }}.serving import bundle, native
from {{ cookiecutter.__package }}.serving.bundle import Model
from {{ cookiecutter.__package }}.serving.predictor import Trees

from .. import customers, project

DATA = config.check(customers.PARAMS["data"], config.Data, "")
NAMES = list(DATA.inputs)
Build = Callable[[Any], Model]


class Foreign(DummyClassifier):  # type: ignore[misc]
    """An estimator that is not scikit-learn's."""


def model(name: str, encoding: str, **estimator: Any) -> dict[str, Any]:
    return {"name": name, "encoding": encoding, "estimator": estimator}


SKLEARN = "sklearn.ensemble."
FULL_FOREST = model("x", "ordinal", _target_=f"{SKLEARN}RandomForestClassifier", n_estimators=3)
EXTRA = model("x", "ordinal", _target_=f"{SKLEARN}ExtraTreesClassifier", n_estimators=3)
NATIVE = {
    "ExtraTreesClassifier": EXTRA,
    "a tree of over 64 leaves; see max_leaf_nodes": FULL_FOREST,
    "RandomForestClassifier with encoding one_hot": (
        customers.MODELS["random_forest"] | {"encoding": "one_hot"}
    ),
    "HistGradientBoostingClassifier with encoding one_hot": (
        customers.MODELS["hist_gradient_boosting"] | {"encoding": "one_hot"}
    ),
}


def fitted(chosen: dict[str, Any]) -> Any:
    rows = customers.read(paths.TRAIN)
    pipeline = train.build(config.check(chosen, config.Model, ""), DATA.inputs)
    return pipeline.fit(rows[NAMES], rows[DATA.roles.target])


@pytest.fixture
def build(evaluated: Path) -> Build:
    """Call it with a fitted pipeline for its bundle."""

    def made(pipeline: Any) -> Model:
        folder = evaluated / "bundle"
        folder.mkdir()
        manifest = module.build("customers", DATA, lineage.read(), pipeline, folder)
        found = Model(folder)
        assert found.manifest == manifest
        return found

    return made


def furthest(found: Model, pipeline: Any) -> float:
    """The largest difference to scikit-learn's answers on the holdout."""
    rows = table.columns(paths.HOLDOUT, NAMES)
    expected = pipeline.predict_proba(table.frame(paths.HOLDOUT, NAMES))[:, 1]
    return float(np.abs(found.predict_columns(rows) - expected).max())


def test_arrays_are_written_when_they_are_exact(
    build: Build, capsys: pytest.CaptureFixture[str]
) -> None:
    pipeline = joblib.load(paths.MODEL)
    found = build(pipeline)
    assert (found.manifest.form, found.quick) == ("trees", True)
    assert "portable form exact on 280 rows" in capsys.readouterr().out
    assert furthest(found, pipeline) <= 1e-12
    assert native.MODEL not in found.manifest.files


@pytest.mark.parametrize("reason", NATIVE)
def test_a_model_without_a_portable_form_is_written_as_scikit_learns_own_and_why_is_said(
    reason: str, build: Build, capsys: pytest.CaptureFixture[str]
) -> None:
    pipeline = fitted(NATIVE[reason])
    found = build(pipeline)
    assert (found.manifest.form, found.quick) == ("native", False)
    assert found.manifest.meta["reason"] == reason
    said = f"no exact portable form ({reason}): scikit-learn itself will answer, more slowly"
    assert said in capsys.readouterr().out
    assert furthest(found, pipeline) <= 1e-12
    assert {native.MODEL, bundle.ARRAYS, bundle.REFERENCE} == set(found.manifest.files)


@pytest.mark.parametrize("reason", [reason for reason in NATIVE if "Hist" not in reason])
def test_scikit_learns_own_answers_are_given_to_unseen_and_missing_categories_too(
    reason: str, build: Build
) -> None:
    pipeline = fitted(NATIVE[reason])
    found = build(pipeline)
    rows = customers.read(paths.HOLDOUT)[NAMES].head(20)
    for column in customers.CATEGORICAL:
        for value in ("never seen", None):
            odd = pd.Series([value] * len(rows), rows.index, rows[column].dtype)
            changed = rows.assign(**{column: odd})
            expected = pipeline.predict_proba(changed)[:, 1]
            values = {n: [None if pd.isna(x) else x for x in changed[n]] for n in NAMES}
            assert np.abs(found.predict_columns(values) - expected).max() <= 1e-12
            few = {name: column[:2] for name, column in values.items()}
            assert np.abs(found.predict_each(few) - expected[:2]).max() <= 1e-12


def skewed(leaf: int) -> Callable[[Any], portable.Portable]:
    """An export with one leaf of the first tree, or all of them, moved a little."""

    def export(pipeline: Any) -> portable.Portable:
        found = portable.export(pipeline)
        leaves = found.arrays["leaves"][0]
        leaves[np.flatnonzero(leaves)[leaf] if leaf >= 0 else slice(None)] += 1e-6
        return found

    return export


@pytest.mark.parametrize("leaf", [*range(4), -1])
def test_arrays_that_answer_otherwise_are_not_used(
    leaf: int, build: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "export", skewed(leaf))
    pipeline = joblib.load(paths.MODEL)
    found = build(pipeline)
    assert found.manifest.form == "native"
    assert furthest(found, pipeline) <= 1e-12


def test_answers_to_single_rows_are_held_to_scikit_learns_too(
    build: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = Trees.one
    calls: list[Any] = []

    def wrong_later(trees: Trees, values: Any) -> Any:
        calls.append(one(trees, values))
        return calls[-1] + (1e-8 if len(calls) > 100 else 0.0)

    monkeypatch.setattr(Trees, "one", wrong_later)
    assert "answers differ by up to 1.0e-08" in build_reason(build)


def build_reason(build: Build) -> str:
    return str(build(joblib.load(paths.MODEL)).manifest.meta["reason"])


def test_a_label_that_flips_is_a_difference_however_small(
    build: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = table.frame(paths.HOLDOUT, NAMES)
    answers = joblib.load(paths.MODEL).predict_proba(rows)[:, 1]
    project.write_params(evaluate__threshold=float(answers[50]))
    predict = Trees.predict
    monkeypatch.setattr(Trees, "predict", lambda *given: predict(*given) - 1e-15)
    assert build_reason(build).startswith(f"{(answers == answers[50]).sum()} labels flip")


def test_a_bundle_that_answers_otherwise_either_way_is_refused(
    build: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    predict = native.Native.predict
    monkeypatch.setattr(native.Native, "predict", lambda *given: few_wrong(predict(*given)))
    with pytest.raises(Refusal, match=r"does not answer as the model: .* up to 1\.0e-06"):
        build(fitted(EXTRA))


def few_wrong(answers: Any) -> Any:
    """Answers of which those after the hundredth are wrong: the smoke row's are right."""
    return answers + np.where(np.arange(len(answers)) > 100, 1e-6, 0.0)


def test_an_estimator_that_is_not_scikit_learns_is_refused_by_name(build: Build) -> None:
    foreign = model("x", "ordinal", _target_=f"{__name__}.Foreign", strategy="prior")
    with pytest.raises(Refusal, match=r"does not know the types .*test_build\.Foreign"):
        build(fitted(foreign))


def test_the_smoke_row_is_a_complete_one(build: Build) -> None:
    smoke = build(joblib.load(paths.MODEL)).manifest.smoke
    assert set(smoke.row) == set(NAMES)
    assert None not in smoke.row.values()


def test_the_reference_is_a_sample_of_the_training_rows_and_always_the_same(
    build: Build, evaluated: Path
) -> None:
    project.write_params(monitoring__sample_rows=50)
    first = build(joblib.load(paths.MODEL))
    kept = customers.read(first.folder / bundle.REFERENCE)
    assert len(kept) == 50
    (evaluated / "bundle").rename(evaluated / "first")
    again = build(joblib.load(paths.MODEL))
    assert again.manifest.files == first.manifest.files


def test_the_manifest_says_what_the_model_was_made_from(build: Build) -> None:
    manifest = build(joblib.load(paths.MODEL)).manifest
    made = lineage.read()
    assert (manifest.fingerprint, manifest.data_md5) == (made.fingerprint, made.data_md5)
    assert manifest.trained_on == ["2024-01", "2024-02", "2024-03"]
    assert manifest.judged_on == ["2024-04"]
    assert (manifest.key, manifest.time) == ("customer_id", "signed_up")
    assert (manifest.target, manifest.threshold) == ("churned", 0.5)
