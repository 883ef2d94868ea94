import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from {{ cookiecutter.__package }} import config, files, paths, tasks
from {{ cookiecutter.__package }}.cli import Busy
from {{ cookiecutter.__package }}.monitoring import drift
from {{ cookiecutter.__package }}.registry import deploy, history, shadow
from {{ cookiecutter.__package }}.registry import release as releasing
from {{ cookiecutter.__package }}.registry.release import release
from {{ cookiecutter.__package }}.registry.rollback import rollback
from {{ cookiecutter.__package }}.registry.store import Store
from {{ cookiecutter.__package }}.serving import bundle
from {{ cookiecutter.__package }}.serving.challenger import WAITING, read

from .. import customers, project
from ..monitoring import traffic
from . import shadows
from .shadows import BETTER, NEEDED, answered, arrive, ask, configure, events, last, seen, state


def test_a_challenger_that_passes_is_registered_and_not_served(
    shadowed: Path, store: Store
) -> None:
    assert state(store) == (1, None, 2, "v1")
    assert bundle.Model(project.bundle(2)).manifest.version == 2
    assert events() == [("promoted", 1), ("shadowed", 2)]
    page = (paths.VAR / last()["report"]).read_text(encoding="utf-8")
    assert page.startswith("# customers, version 2: answers unseen first\n\nlog_loss ")
    assert "labelled rows of 2024-04." in page


def test_live_traffic_promotes_on_the_very_pairs_that_have_labels(
    shadowed: Path, store: Store
) -> None:
    ask()
    rows = customers.frame("2024-05").dropna(subset="churned")
    assert arrive() == len(rows)
    line = shadow.follow()
    assert line
    assert state(store) == (2, 1, None, "v2")
    assert events()[-1] == ("promoted", 2)
    assert (last()["rule"], last()["previous"], last()["reason"]) == ("min_gain", 1, line["reason"])
    inputs = rows.astype({"region": str}).replace({np.nan: None}).to_dict("list")
    labels = rows["churned"].to_numpy(int)
    told = [bundle.Model(project.bundle(n)).predict_columns(inputs) for n in (2, 1)]
    new, old = (tasks.binary.score(labels, side)["log_loss"] for side in told)
    assert f"on live traffic log_loss {new:.4f} against the champion's {old:.4f}" in line["reason"]
    page = (paths.VAR / last()["report"]).read_text(encoding="utf-8")
    assert page.startswith(f"# customers, version 2: promoted\n\n{line['reason']}.")
    assert f"on {len(rows):,} labelled rows of live traffic in 1 day." in page
    for part in ("| `max_calibration_loss` |", "| `max_slowdown` |", "| from web |", "95% inter"):
        assert part in page
    assert read(paths.MONITORING) is None
    assert shadow.follow() is None


def test_live_traffic_refuses_and_the_refusal_sticks_unless_forced(
    shadowed: Path, store: Store
) -> None:
    ask()
    rows = customers.frame("2024-05")
    arrive(rows.assign(churned=1 - rows["churned"]))
    line = shadow.follow()
    assert line
    assert (line["event"], line["rule"]) == ("refused", "min_skill")
    assert state(store) == (1, None, None, "v1")
    assert (events()[-1], last()["reason"]) == (("refused", 2), line["reason"])
    before = paths.HISTORY.read_text()
    assert not release()
    assert (paths.HISTORY.read_text(), state(store)) == (before, (1, None, None, "v1"))
    assert release(force=True)
    assert state(store) == (2, 1, None, "v2")
    version = store.holder("champion")
    assert version
    assert not version.refused


def test_without_enough_labels_in_time_it_is_refused(shadowed: Path, store: Store) -> None:
    ask(rows=60)
    known = customers.frame("2024-05")["churned"][:60].notna().sum()
    arrive()
    assert shadow.follow() is None
    project.write_params(gate__shadow_rows=NEEDED, gate__shadow_days=0, model=BETTER)
    line = shadow.follow()
    assert line
    assert (line["event"], line["rule"]) == ("refused", "shadow_days")
    assert f"{known} of {NEEDED} labels have arrived in 0 days" in line["reason"]
    assert state(store) == (1, None, None, "v1")


def test_labels_of_one_class_alone_do_not_decide(shadowed: Path) -> None:
    for name in ask():
        traffic.told(name, 1)
    assert shadow.follow() is None
    assert seen().labelled == customers.ROWS


def test_one_that_cannot_answer_what_the_champion_answered_is_refused(
    shadowed: Path, store: Store
) -> None:
    ask(rows=10)
    odd = customers.request(11) | {"a column that it does not know": 1}
    traffic.write(traffic.line(odd, 0.5, name="odd"))
    line = shadow.follow()
    assert line
    assert line["rule"] == "unanswered"
    assert "no answer to 1 of 11 rows" in line["reason"]
    assert state(store) == (1, None, None, "v1")


def test_how_often_the_two_agree_is_told_without_labels(
    shadowed: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    ask(rows=150)
    monkeypatch.setattr(sys, "argv", ["drift"])
    project.write_params(gate__shadow_rows=NEEDED, monitoring__min_rows=1000)  # without Evidently
    drift.main()
    labels = [(row[2] >= 0.5) == (row[3] >= 0.5) for row in answered()]
    assert 0 < np.mean(labels) < 1
    said = f"0 of {NEEDED} with a label; the champion's label in {np.mean(labels):.1%} of them\n"
    assert said in capsys.readouterr().out
    history.main()
    assert capsys.readouterr().out.endswith(said)


def test_a_release_of_the_same_model_lets_it_go_on_waiting(shadowed: Path, store: Store) -> None:
    before = paths.HISTORY.read_text()
    assert not release()
    assert (state(store), paths.HISTORY.read_text()) == ((1, None, 2, "v1"), before)


@pytest.mark.parametrize("trees", [2, 25])
def test_the_command_fails_for_a_refused_model_only(
    trees: int, shadowed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    configure(trees)
    monkeypatch.setattr(releasing, "stale", lambda: False)
    monkeypatch.setattr(sys, "argv", ["release"])
    assert releasing.main() == (0 if trees == 25 else releasing.REFUSED)


def test_a_newer_challenger_takes_the_place_and_the_traffic_of_the_older(
    shadowed: Path, store: Store
) -> None:
    names = ask(rows=50)
    shadow.follow()
    configure(30)
    assert not release()
    assert state(store) == (1, None, 3, "v1")
    assert events()[-2:] == [("replaced", 2), ("shadowed", 3)]
    assert "version 3, which is newer" in files.read_lines(paths.HISTORY)[-2]["reason"]
    assert (seen().version, seen().answered) == (3, 50)
    assert [row[0] for row in answered()] == sorted(names)
    assert [path.name[:3] for path in paths.SHADOW.iterdir()] == ["v3-"]


def test_a_worse_model_leaves_the_challenger_waiting(shadowed: Path, store: Store) -> None:
    configure(2)
    assert not release()
    assert events()[-1] == ("refused", None)
    assert state(store) == (1, None, 2, "v1")


def test_a_release_by_force_waits_for_no_traffic(shadowed: Path, store: Store) -> None:
    assert release(force=True)
    assert state(store) == (2, 1, None, "v2")
    assert events()[-1] == ("promoted", 2)
    assert read(paths.MONITORING) is None


@pytest.mark.parametrize("name", ["alias", "take"])
def test_a_release_by_force_that_was_interrupted_is_finished_by_the_next_look(
    name: str, shadowed: Path, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        after(patch, Store, name, done=name == "alias")
        with pytest.raises(Killed):
            release(force=True)
    assert shadow.follow() is None
    assert state(store) == (2, 1, None, "v2")
    assert events() == [("promoted", 1), ("shadowed", 2), ("promoted", 2)]


def test_a_newer_model_released_by_force_sends_the_challenger_away(
    shadowed: Path, store: Store
) -> None:
    configure(30)
    assert release(force=True)
    assert state(store) == (3, 1, None, "v3")
    assert events()[-2:] == [("promoted", 3), ("replaced", 2)]


def test_switched_off_the_next_release_promotes_and_nothing_else_is_done(
    shadowed: Path, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.write_params(model=BETTER)
    with monkeypatch.context() as patch:
        patch.setattr(shadow, "Store", None)  # not even the registry is asked
        assert shadow.follow() is None
    assert release()
    assert state(store) == (2, 1, None, "v2")


def test_where_there_is_nothing_to_compare_a_model_is_promoted_at_once(
    released: Path, store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    project.write_params(gate__shadow_rows=NEEDED, evaluate__threshold=0.3)
    project.run("evaluate")
    assert release()  # the champion's own model with other settings
    columns = customers.params()["data"]["columns"] | {"friend's plan": {"type": "text"}}
    configure(data__columns=columns, data__segments=["from"])
    project.run("validate", "split", "train", "evaluate")
    assert release()
    assert state(store) == (3, 2, None, "v3")


def test_after_a_rollback_it_is_held_against_the_restored_champion(
    replaced: Path, store: Store
) -> None:
    configure(28, gate__min_gain=-0.05)
    assert not release()
    assert state(store) == (2, 1, 3, "v2")
    ask(rows=50)
    shadow.follow()
    rollback()
    ask(rows=20)
    assert shadow.follow() is None
    assert seen().answered == 20
    ask()
    arrive()
    assert shadow.follow()
    assert state(store) == (3, 1, None, "v3")


def test_a_challenger_found_in_the_registry_begins_here(shadowed: Path) -> None:
    shutil.rmtree(paths.SHADOW)
    paths.HISTORY.unlink()
    assert shadow.follow() is None
    assert (events(), seen().version) == ([("promoted", 1), ("shadowed", 2)], 2)
    assert last()["reason"] == "found as challenger in the registry"


def test_while_another_process_releases_it_is_not_looked_at(
    shadowed: Path, elsewhere: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shadow, "WAIT", 0)
    elsewhere("release")
    with pytest.raises(Busy):
        shadow.follow()


class Killed(BaseException):
    """What ends a process at this point."""


def after(patch: pytest.MonkeyPatch, place: Any, name: str, done: bool) -> None:
    """Have a call end the process, before or after it has done its work."""
    call = getattr(place, name)

    def killed(*arguments: Any, **more: Any) -> None:
        if done:
            call(*arguments, **more)
        raise Killed

    patch.setattr(place, name, killed)


STEPS: list[tuple[Any, str]] = [
    (shadow, "report"),
    (Store, "alias"),
    (deploy, "point"),
    (history, "record"),
    (Store, "take"),
]


@pytest.mark.parametrize("done", [False, True])
@pytest.mark.parametrize(("place", "name"), STEPS, ids=lambda step: getattr(step, "__name__", step))
def test_a_promotion_interrupted_anywhere_is_finished_by_the_next_look(
    place: Any, name: str, done: bool, shadowed: Path, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask()
    arrive()
    with monkeypatch.context() as patch:
        after(patch, place, name, done)
        with pytest.raises(Killed):
            shadow.follow()
    shadow.follow()
    assert state(store) == (2, 1, None, "v2")
    assert events() == [("promoted", 1), ("shadowed", 2), ("promoted", 2)]
    assert not (paths.MONITORING / WAITING).exists()


@pytest.mark.parametrize("done", [False, True])
@pytest.mark.parametrize("name", ["record", "mark", "take"])
def test_a_refusal_interrupted_anywhere_is_finished_by_the_next_look(
    name: str, done: bool, shadowed: Path, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = customers.frame("2024-05")
    ask()
    arrive(rows.assign(churned=1 - rows["churned"]))
    with monkeypatch.context() as patch:
        after(patch, history if name == "record" else Store, name, done)
        with pytest.raises(Killed):
            shadow.follow()
    arrive(rows)  # what is known later does not change what was decided
    shadow.follow()
    assert state(store) == (1, None, None, "v1")
    assert events() == [("promoted", 1), ("shadowed", 2), ("refused", 2)]
    assert store.client.get_model_version(store.name, "2").tags["refused"] == last()["reason"]


@pytest.mark.parametrize("done", [False, True])
@pytest.mark.parametrize(
    ("place", "name"),
    [(Store, "register"), (deploy, "settle"), (Store, "alias"), (history, "record")],
    ids=lambda step: getattr(step, "__name__", step),
)
def test_a_beginning_interrupted_anywhere_is_finished_by_the_next_release(
    place: Any, name: str, done: bool, released: Path, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    configure()
    with monkeypatch.context() as patch:
        after(patch, place, name, done)
        with pytest.raises(Killed):
            release()
    assert state(store)[0] == 1
    assert not release()
    assert state(store) == (1, None, 2, "v1")
    assert events() == [("promoted", 1), ("shadowed", 2)]


def test_a_decision_against_a_champion_that_serves_no_more_is_not_carried_out(
    replaced: Path, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    configure(28, gate__min_gain=-0.05)
    assert not release()
    ask()
    arrive()
    with monkeypatch.context() as patch:
        after(patch, Store, "alias", done=False)
        with pytest.raises(Killed):
            shadow.follow()
    rollback()
    assert shadow.follow() is None
    assert state(store) == (1, 2, 3, "v1")


def test_one_that_was_rolled_back_before_its_promotion_ended_stays_out(
    shadowed: Path, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask()
    arrive()
    with monkeypatch.context() as patch:
        after(patch, Store, "take", done=False)
        with pytest.raises(Killed):
            shadow.follow()
    rollback()
    assert shadow.follow() is None
    assert state(store) == (1, 2, None, "v1")


@pytest.mark.parametrize("task", ["multiclass", "regression"])
def test_other_tasks_are_judged_alike(
    task: config.Task, evaluated: Path, store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    project.write_params(**shadows.params(task, 3))
    project.run()
    assert release()
    project.write_params(**shadows.params(task, 40), gate__shadow_rows=NEEDED)
    project.run("train", "evaluate")
    assert not release()
    ask()
    assert shadow.follow() is None
    said = capsys.readouterr().out
    found = answered()
    if task == "regression":
        apart = np.mean([abs(row[2] - row[3]) for row in found])
        assert f"; {apart:.4g} away from the champion on average" in said
    else:
        alike = np.mean([np.argmax(row[2]) == np.argmax(row[3]) for row in found])
        assert f"; the champion's label in {alike:.1%} of them" in said
    arrive(shadows.spending("2024-05"))
    line = shadow.follow()
    assert line
    assert (line["event"], state(store)) == ("promoted", (2, 1, None, "v2"))
    rows, classes = shadows.spending("2024-05"), shadows.TASKS[task]["classes"]
    labels = rows[shadows.TASKS[task]["target"]]
    codes = [classes.index(label) for label in labels] if classes else labels.tolist()
    by_key = dict(zip(rows["customer_id"].astype(str), codes, strict=True))
    true = np.array([by_key[row[1]] for row in found])
    new, old = (tasks.KINDS[task].score(true, np.array([row[n] for row in found])) for n in (3, 2))
    metric = "rmse" if task == "regression" else "log_loss"
    assert f"{metric} {new[metric]:.4f} against the champion's {old[metric]:.4f}" in line["reason"]
