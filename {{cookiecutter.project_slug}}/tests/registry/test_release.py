import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
import pytest

from {{ cookiecutter.__package }} import config, files, paths, table, tasks
from {{ cookiecutter.__package }}.cli import Busy, Refusal
from {{ cookiecutter.__package }}.registry import compare, deploy, lineage
from {{ cookiecutter.__package }}.registry import release as module
from {{ cookiecutter.__package }}.registry import store as stores
from {{ cookiecutter.__package }}.registry.release import release
from {{ cookiecutter.__package }}.registry.store import RUN, Store, Version
from {{ cookiecutter.__package }}.serving import bundle
from {{ cookiecutter.__package }}.serving.champion import read_pointer

from .. import customers, project


def serving() -> int:
    """The version that the service would load now."""
    pointer = read_pointer(paths.BUNDLES)
    assert pointer
    return bundle.Model(paths.BUNDLES / pointer.bundle).manifest.version


def versions(store: Store) -> list[int]:
    found = store.client.search_model_versions(f"name = '{store.name}'")
    return sorted(int(version.version) for version in found)


def holder(store: Store, alias: str) -> Version:
    found = store.holder(alias)
    assert found
    return found


def last() -> dict[str, Any]:
    return files.read_lines(paths.HISTORY)[-1]


def test_the_first_release_is_champion_and_served(released: Path, store: Store) -> None:
    champion = holder(store, "champion")
    assert (champion.number, store.holder("previous")) == (1, None)
    assert champion.fingerprint == lineage.read().fingerprint
    assert serving() == 1
    line = last()
    assert (line["event"], line["version"], line["rule"]) == ("promoted", 1, "min_skill")
    assert "first model" in line["reason"]
    assert not list(paths.BUNDLES.glob(".*"))


def test_its_run_says_what_it_was_made_from(released: Path, store: Store) -> None:
    run = store.client.get_run(holder(store, "champion").run_id)
    made, metrics = lineage.read(), files.read_json(paths.METRICS)
    assert run.info.status == "FINISHED"
    assert run.data.params["model.estimator.max_iter"] == "3"
    assert run.data.metrics["model.log_loss"] == pytest.approx(metrics["model"]["log_loss"])
    assert run.data.metrics["baseline.brier"] == pytest.approx(metrics["baseline"]["brier"])
    assert run.inputs
    (data,) = run.inputs.dataset_inputs
    assert (data.dataset.digest, data.dataset.name) == (made.data_md5, "customers-raw")
    assert run.data.tags["git_commit"] == made.git_commit
    assert run.data.tags["dvc.model_md5"] == made.model_md5
    assert run.data.params["partitions"] == "2024-01 to 2024-04"
    version = store.client.get_model_version("customers", "1")
    assert version.tags["fingerprint"] == made.fingerprint


def test_its_run_keeps_reports_picture_and_bundle(released: Path, store: Store) -> None:
    run_id = holder(store, "champion").run_id
    found = {item.path for item in store.client.list_artifacts(run_id)}
    assert {"metrics.json", "segments.csv", "validation.json", "plots", "bundle"} <= found
    assert "evaluation.png" in found
    kept = {item.path for item in store.client.list_artifacts(run_id, "bundle")}
    assert kept == {f"bundle/{path.name}" for path in project.bundle(1).iterdir()}


def test_the_registered_model_answers_as_the_served_one(released: Path, store: Store) -> None:
    rows = [customers.request(number) for number in range(20)]
    names = list(customers.PARAMS["data"]["columns"])
    values = {name: [row[name] for row in rows] for name in names}
    served = bundle.Model(project.bundle(1)).predict_columns(values)
    frame = pd.DataFrame(values).astype(dict.fromkeys(customers.NUMERIC, float))
    loaded = mlflow.pyfunc.load_model(f"models:/{store.name}@champion")
    assert np.abs(np.asarray(loaded.predict(frame))[:, 1] - served).max() <= 1e-12


def test_releasing_the_same_model_again_changes_nothing(released: Path, store: Store) -> None:
    before = paths.HISTORY.read_text(), (paths.BUNDLES / "champion.json").read_text()
    assert release()
    assert versions(store) == [1]
    assert (paths.HISTORY.read_text(), (paths.BUNDLES / "champion.json").read_text()) == before


def test_a_better_model_takes_over(replaced: Path, store: Store) -> None:
    assert (holder(store, "champion").number, holder(store, "previous").number) == (2, 1)
    assert serving() == 2
    line = last()
    assert (line["event"], line["rule"], line["previous"]) == ("promoted", "min_gain", 1)


def test_a_worse_model_is_refused_and_tracked_but_not_registered(
    replaced: Path, store: Store
) -> None:
    worse = customers.PARAMS["model"]["estimator"] | {"max_iter": 2}
    project.write_params(model__estimator=worse)
    project.run("train", "evaluate")
    assert not release()
    assert (versions(store), serving()) == ([1, 2], 2)
    assert (last()["event"], last()["rule"]) == ("refused", "min_gain")
    assert store.run_of(lineage.read().fingerprint)
    assert not list(paths.BUNDLES.glob(".*"))
    lines = len(files.read_lines(paths.HISTORY))
    assert not release()
    assert len(files.read_lines(paths.HISTORY)) == lines


def test_a_promotion_is_explained_on_a_page_and_in_the_run(replaced: Path, store: Store) -> None:
    line = last()
    page = (paths.VAR / line["report"]).read_text(encoding="utf-8")
    title, first, *_ = page.split("\n\n")
    assert title == "# customers, version 2: promoted"
    assert first == f"{line['reason']}."
    assert "Rule `min_gain` decided" in page
    assert "labelled rows of 2024-04." in page
    assert "| log_loss (decides) |" in page
    for guard in ("guard_loss", "calibration_loss", "segment_loss", "slowdown"):
        assert f"| `max_{guard}` |" in page
    assert "| from web |" in page
    assert page.endswith("Requests stay as they are.\n")
    assert line["report"].endswith(f"-{line['fingerprint'][:8]}.md")
    kept = store.client.list_artifacts(holder(store, "champion").run_id, "verdicts")
    assert [item.path for item in kept] == [line["report"]]


def test_a_refusal_is_explained_once_however_often_it_is_asked_for(
    replaced: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    worse = customers.PARAMS["model"]["estimator"] | {"max_iter": 2}
    project.write_params(model__estimator=worse)
    project.run("train", "evaluate")
    assert not release()
    page = paths.VAR / last()["report"]
    assert page.read_text(encoding="utf-8").startswith("# customers: refused\n\n")
    before = sorted(paths.VERDICTS.iterdir())
    assert not release()
    assert sorted(paths.VERDICTS.iterdir()) == before
    assert capsys.readouterr().out.count(f"the champion stays. Why: {page}") == 2


def test_the_first_model_has_a_page_without_a_champion(released: Path) -> None:
    page = (paths.VAR / last()["report"]).read_text(encoding="utf-8")
    assert page.startswith("# customers, version 1: promoted\n\nfirst model, ")
    assert "| metric | challenger | baseline |" in page
    for absent in ("champion", "Guards", "Segments", "Requests", "interval"):
        assert absent not in page


def test_a_model_as_good_as_the_champion_is_refused_with_the_interval(replaced: Path) -> None:
    # one tree less makes no difference that these rows could show
    less = customers.MODELS["hist_gradient_boosting"] | {}
    less["estimator"] = less["estimator"] | {"max_iter": 24}
    project.write_params(model=less)
    project.run("train", "evaluate")
    assert not release()
    assert last()["rule"] in ("confidence", "min_gain")
    assert "(95% interval -0." in last()["reason"]
    project.write_params(model=less, gate__min_gain=-0.02)
    assert release()


def test_a_challenger_that_asks_for_other_columns_is_promoted_and_callers_are_told(
    released: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    columns = customers.params()["data"]["columns"] | {"friend's plan": {"type": "text"}}
    project.write_params(
        data__columns=columns,
        data__segments=["from"],
        model=customers.MODELS["hist_gradient_boosting"],
    )
    project.run("validate", "split", "train", "evaluate")
    capsys.readouterr()
    assert release()
    said = capsys.readouterr().out
    assert "judged as first" in said
    assert "callers must change their requests: the model takes no friend's plan any more" in said
    page = (paths.VAR / last()["report"]).read_text(encoding="utf-8")
    assert "- the model takes no friend's plan any more" in page


def test_a_first_model_no_better_than_the_baseline_is_refused(
    evaluated: Path, store: Store
) -> None:
    project.write_params(gate__min_skill=0.9)
    assert not release()
    assert (store.holder("champion"), read_pointer(paths.BUNDLES)) == (None, None)
    assert (last()["event"], last()["rule"]) == ("refused", "min_skill")


def test_a_champion_is_judged_again_on_the_newest_holdout(replaced: Path, store: Store) -> None:
    project.write_params(partitions=customers.MONTHS[:5], model=customers.MODELS["random_forest"])
    project.run()
    release()
    rows = table.columns(paths.HOLDOUT, [*customers.PARAMS["data"]["columns"], "churned"])
    answers = bundle.Model(project.bundle(2)).predict_columns(rows)
    now = tasks.binary.score(np.array(rows["churned"]), answers)["log_loss"]
    assert f"against the champion's {now:.4f}" in last()["reason"]
    assert now != pytest.approx(bundle.Model(project.bundle(2)).manifest.metrics["log_loss"])


def test_a_workspace_that_dvc_did_not_make_is_refused(released: Path) -> None:
    paths.MODEL.write_bytes(b"another model")
    with pytest.raises(Refusal, match=r"not the one that dvc\.lock records"):
        release()


def test_a_model_without_a_portable_form_is_released_and_answers_as_the_registered_one(
    evaluated: Path, store: Store
) -> None:
    estimator = {"_target_": "sklearn.ensemble.ExtraTreesClassifier", "min_samples_leaf": 5}
    estimator |= {"n_estimators": 10, "random_state": 7}
    project.write_params(model={"name": "x", "encoding": "ordinal", "estimator": estimator})
    project.run("train", "evaluate")
    assert release()
    assert bundle.Model(project.bundle(1)).manifest.form == "native"
    assert holder(store, "champion").number == 1
    test_the_registered_model_answers_as_the_served_one(evaluated, store)


def test_a_model_that_no_bundle_answers_for_is_not_promoted(
    evaluated: Path, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any) -> None:
        raise Refusal("the bundle does not answer as the model")

    monkeypatch.setattr(module, "build", broken)
    with pytest.raises(Refusal, match="does not answer as the model"):
        release()
    assert store.holder("champion") is None
    assert not list(paths.BUNDLES.glob(".*"))


def test_only_one_release_runs_at_a_time(released: Path, elsewhere: Callable[[str], None]) -> None:
    elsewhere("release")
    with pytest.raises(Busy, match="holds the lock release"):
        release()


def test_a_release_interrupted_after_the_registration_is_finished_by_the_next(
    evaluated: Path, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(deploy, "point", lambda *_: (_ for _ in ()).throw(OSError("power cut")))
        with pytest.raises(OSError, match="power cut"):
            release()
    assert read_pointer(paths.BUNDLES) is None
    assert release()
    assert (versions(store), serving()) == ([1], 1)


def test_runs_left_open_by_a_killed_process_are_closed(released: Path, store: Store) -> None:
    of_ours, whole, somebodys = (
        store.client.create_run(store.experiment, tags=tags).info.run_id
        for tags in ({RUN: "1"}, {RUN: "1", "fingerprint": "f"}, {"theirs": "1"})
    )
    assert release()
    found = {run: store.client.get_run(run).info.status for run in (of_ours, whole, somebodys)}
    assert found == {of_ours: "KILLED", whole: "FINISHED", somebodys: "RUNNING"}


def test_a_run_that_was_interrupted_later_on_is_not_logged_again(
    evaluated: Path, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(Store, "register", lambda *_: (_ for _ in ()).throw(OSError("power cut")))
        with pytest.raises(OSError, match="power cut"):
            release()
    run = store.run_of(lineage.read().fingerprint)
    assert release()
    assert holder(store, "champion").run_id == run
    runs = store.client.search_runs([store.experiment])
    assert [one.info.run_id for one in runs] == [run]
    assert len(store.client.search_logged_models([store.experiment])) == 1


def test_what_a_killed_process_has_left_aside_is_removed(released: Path) -> None:
    (paths.BUNDLES / ".challenger-x").mkdir()
    (paths.BUNDLES / ".challenger-x" / "arrays.npz").touch()
    (paths.BUNDLES / ".champion.json.77").touch()
    assert release()
    assert not list(paths.BUNDLES.glob(".*"))


def test_a_registry_that_fails_is_told_in_one_sentence(
    evaluated: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> None:
        raise mlflow.MlflowException("three\nlines\nof SQL") from OSError("disk I/O error")

    monkeypatch.setattr(Store, "register", fail)
    with pytest.raises(Refusal, match=r"^the registry at sqlite:.* fails: disk I/O error$"):
        release()
    assert read_pointer(paths.BUNDLES) is None


def test_a_registry_that_somebody_has_locked_is_not_waited_for_long(
    released: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stores, "PATIENCE", 0.1)
    with closing(sqlite3.connect(paths.VAR / "mlflow.db", isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(Refusal, match="fails: database is locked"):
            release()


def test_the_card_tells_what_the_model_is_worth(released: Path) -> None:
    card = (project.bundle(1) / bundle.CARD).read_text(encoding="utf-8")
    metrics, made = files.read_json(paths.METRICS), lineage.read()
    loss, base = metrics["model"]["log_loss"], metrics["baseline"]["log_loss"]
    assert card.startswith("# customers, version 1\n")
    assert f"| log_loss | {loss:.4f} | {base:.4f} |" in card
    for said in (made.data_md5, made.model_md5, made.git_commit, "2024-01 to 2024-03"):
        assert said in card
    assert "Tells whether a customer leaves." in card
    assert "- Made up." in card
    assert "### By friend's plan" in card
    assert "| (missing) |" in card


def test_a_bundle_that_was_lost_is_judged_from_the_registry(replaced: Path) -> None:
    shutil.rmtree(project.bundle(2))
    project.write_params(model=customers.MODELS["random_forest"])
    project.run("train", "evaluate")
    assert not release()
    assert "against the champion's" in last()["reason"]


@pytest.mark.parametrize("name", customers.MODELS)
def test_every_model_of_conf_can_be_released(name: str, evaluated: Path, store: Store) -> None:
    project.write_params(model=customers.MODELS[name])
    project.run("train", "evaluate")
    assert release()
    assert store.holder("champion")


def test_a_new_threshold_reaches_the_service_though_the_model_is_the_same(
    released: Path, store: Store
) -> None:
    project.write_params(evaluate__threshold=0.3)
    project.run("evaluate")
    assert release()
    assert bundle.Model(project.bundle(2)).manifest.threshold == 0.3
    assert files.read_lines(paths.HISTORY)[-1]["rule"] == "same_model"


def test_a_champion_is_never_scored_on_rows_it_was_trained_on(
    released: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # the champion was trained up to 2024-03 and judged on 2024-04
    seen: list[list[str]] = []
    rows = compare.holdout_rows

    def watched(data: config.Data, split: config.Split, names: list[str]) -> dict[str, list[Any]]:
        seen.append(names)
        return rows(data, split, names)

    monkeypatch.setattr(compare, "holdout_rows", watched)
    project.write_params(
        split__holdout_partitions=2, model=customers.MODELS["hist_gradient_boosting"]
    )
    project.run("split", "train", "evaluate")
    release()
    assert seen == [["2024-04"]]


def test_with_no_row_new_to_the_champion_nothing_is_compared(released: Path) -> None:
    project.write_params(
        partitions=["2024-01", "2024-02", "2024-03"],
        model=customers.MODELS["hist_gradient_boosting"],
    )
    project.run("ingest", "validate", "split", "train", "evaluate")
    with pytest.raises(Refusal, match="trained on the whole holdout"):
        release()
