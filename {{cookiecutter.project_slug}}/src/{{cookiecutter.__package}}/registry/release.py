"""`make release`: register the evaluated model, let the gate judge it, promote it if it may serve.

Safe to repeat and to interrupt: every step first looks whether it has been done.
"""

import shutil
import sys
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import msgspec
import numpy as np

from .. import config, files, locks, paths, table, tasks
from ..cli import Refusal, run
from ..dvc import stale
from ..pipeline.evaluate import named_values
from ..pipeline.split import labelled, with_functions
from ..serving import bundle
from . import card, deploy, guards, history, lineage, tracking
from . import verdict as verdicts
from .build import build, held_out, partitions
from .crown import complete, crown
from .gate import Metrics, Verdict, judge
from .paired import Pair
from .store import BUNDLE, Store, Version, answering

REFUSED = 3  # exit code of a release that the gate has refused


def release(force: bool = False) -> bool:
    """Release the workspace's model; returns whether it is champion now.

    `force` lets a version back in that has been rolled back.
    """
    with locks.exclusive("release"), answering():
        deploy.sweep()
        made = lineage.read()
        store = Store(config.read("name", str))
        store.close_runs()
        champion = complete(store)
        known = store.version_of(made.fingerprint)
        if champion and known and champion.number == known.number:
            print(f"version {champion.number} is this model already")
            return True
        if known and known.rolled_back and not force:
            reason = f"version {known.number} was rolled back on {known.rolled_back}"
            history.record("refused", known.number, made.fingerprint, reason)
            print(f"refused: {reason}; FORCE=1 lets it back in")
            return False
        paths.BUNDLES.mkdir(parents=True, exist_ok=True)
        aside = Path(mkdtemp(prefix=".challenger-", dir=paths.BUNDLES))
        aside.chmod(0o755)
        try:
            return _decide(store, made, champion, known, aside)
        finally:
            shutil.rmtree(aside, ignore_errors=True)


def _decide(
    store: Store,
    made: lineage.Lineage,
    champion: Version | None,
    known: Version | None,
    aside: Path,
) -> bool:
    import joblib

    data = config.read("data", config.Data)
    pipeline = joblib.load(paths.MODEL)
    manifest = build(store.name, data, made, pipeline, aside)
    verdict = compare(store, data, made, aside, champion)
    print(f"gate: {verdict.reason}")
    run_id = tracking.track(store, made)
    if not verdict.promoted:
        if not (line := history.repeated("refused", made.fingerprint, verdict.reason)):
            report = _report(store, store.name, made, verdict, run_id)
            line = {"rule": verdict.rule, "report": report}
            history.record("refused", None, made.fingerprint, verdict.reason, **line)
        print(f"refused by rule {verdict.rule}; the champion stays. Why: {_found(line)}")
        return False
    if known is None:
        source = tracking.log_model(store, pipeline, data, run_id)
        known = store.register(source, run_id, {"fingerprint": made.fingerprint})
    text = card.render(f"{store.name}, version {known.number}", data, manifest, made, verdict)
    (aside / bundle.CARD).write_text(text, encoding="utf-8")
    sums = manifest.files | {bundle.CARD: files.digest(aside / bundle.CARD)}
    manifest = msgspec.structs.replace(manifest, version=known.number, run_id=run_id, files=sums)
    deploy.write_manifest(aside, manifest)
    folder = deploy.settle(aside, known)
    tracking.log_folder(store, folder, run_id, BUNDLE)
    report = _report(store, f"{store.name}, version {known.number}", made, verdict, run_id)
    line = {"rule": verdict.rule, "report": report}
    crown(store, known, champion, "promoted", verdict.reason, **line)
    for change in verdict.changes:
        print(f"callers must change their requests: the model {change}")
    print(f"version {known.number} is champion; its card is {folder / bundle.CARD}")
    print(f"why: {_found(line)}")
    return True


def _report(store: Store, name: str, made: lineage.Lineage, verdict: Verdict, run_id: str) -> str:
    """Write the page on a verdict and log it to the run; its path below `var/`."""
    gate = config.read("gate", config.Gate)
    path = verdicts.write(name, made.fingerprint, gate, verdict, history.now())
    tracking.log_file(store, path, run_id, path.parent.name)
    return path.relative_to(paths.VAR).as_posix()


def _found(line: dict[str, Any]) -> Path:
    return paths.VAR / str(line.get("report", paths.HISTORY.name))


def compare(
    store: Store,
    data: config.Data,
    made: lineage.Lineage,
    challenger: Path,
    champion: Version | None,
) -> Verdict:
    """Score challenger, champion and baseline on the same rows of the holdout, and judge.

    Partitions that the champion was trained on are left out; `Refusal` when none remains.
    """
    evaluate = config.read("evaluate", config.Evaluate)
    task = tasks.of(data, evaluate)
    split = config.read("split", config.Split)
    serving = old = readable(store, champion) if champion else None
    if old and (other := another_table(old, data)):
        print(f"{other}: judged as first")
        old = None
    fair = partitions()[1]
    if old and not (split.holdout_share and old.manifest.held_out == held_out(data, split)):
        fair = [name for name in fair if name not in old.manifest.trained_on]
    if not fair:
        raise Refusal(
            f"the champion was trained on the whole holdout ({', '.join(partitions()[1])}), "
            "so the two cannot be compared: `make arrive` takes newer data in"
        )
    rows = holdout_rows(data, split, fair)
    labels = np.array(rows[data.roles.target])
    known = np.array(table.columns(paths.TRAIN, [data.roles.target])[data.roles.target])
    baseline = task.score(labels, task.baseline(known, len(labels)))
    new = bundle.Model(challenger)
    asked = {name: rows[name] for name in data.asked}
    told = new.predict_columns(asked)
    if old is None:
        scored = task.score(labels, told)
        verdict = judge(config.read("gate", config.Gate), task, scored, None, baseline)
    else:
        groups = named_values(rows[data.roles.group]) if data.roles.group else None
        pair = Pair(labels, told, old.predict_columns(asked), groups)
        if old.manifest.model_md5 == made.model_md5:
            reason = "the champion's own model with other settings"
            ours, theirs = (task.score(labels, answers) for answers in (told, pair.champion))
            verdict = Verdict(True, "same_model", reason, ours, theirs, baseline)
        else:
            verdict = _against(old, new, task, data, pair, rows, baseline)
    changes = list(serving.schema.changes(new.schema)) if serving else []
    return msgspec.structs.replace(verdict, rows=len(labels), partitions=fair, changes=changes)


def _against(
    old: bundle.Model,
    new: bundle.Model,
    task: tasks.Task,
    data: config.Data,
    pair: Pair,
    rows: dict[str, list[Any]],
    baseline: Metrics,
) -> Verdict:
    """The verdict on a challenger that there is a champion to compare with."""
    gate, seed = config.read("gate", config.Gate), config.read("seed", int)
    bins = config.read("evaluate", config.Evaluate).calibration_bins
    segments = {name: rows[name] for name in data.segments}
    by_segment = guards.by_segment(gate, task, pair, segments, seed)
    measured = [
        guards.calibration(gate, task, pair, bins, seed),
        guards.segments(gate, by_segment),
        guards.slowdown(gate, new, old, rows),
    ]
    gain = guards.gain_of(task, gate.metric)
    verdict = judge(
        gate,
        task,
        task.score(pair.labels, pair.challenger),
        task.score(pair.labels, pair.champion),
        baseline,
        pair.interval(gain, gate.confidence, seed) if gate.confidence else None,
        [guard for guard in measured if guard],
    )
    return msgspec.structs.replace(verdict, segments=by_segment)


def readable(store: Store, champion: Version) -> bundle.Model | None:
    """The champion, to be scored; None when its bundle is of another format."""
    try:
        return deploy.ensure(store, champion)
    except bundle.OtherFormat:
        return None


def another_table(old: bundle.Model, data: config.Data) -> str:
    """Why the champion could not answer for today's rows at all; empty when it could."""
    if gone := {column.name for column in old.schema.asked} - set(data.asked):
        return f"the champion needs {', '.join(sorted(gone))}, gone from the data"
    if (old.manifest.task, old.manifest.classes) != (data.task, data.classes):
        return "the champion tells something else"
    return ""


def holdout_rows(data: config.Data, split: config.Split, names: list[str]) -> dict[str, list[Any]]:
    """Columns of the labelled rows that judge, of some partitions.

    They are those of a request, the segments, the target and the group.
    """
    files_ = [paths.RAW / f"{name}.parquet" for name in names]
    also = [data.roles.group] if data.roles.group else []
    wanted = list(dict.fromkeys([*data.asked, *data.segments, data.roles.target, *also]))
    query = labelled(data, split, files_, holdout=True, also=also)
    made = {name: data.columns[name] for name in data.segments if data.columns[name].function}
    if made:
        query = with_functions(data, query)
    query = f"SELECT {table.quoted(*wanted)} FROM ({query})"
    return table.by_name(wanted, table.rows(query, functions=data.columns if made else None))


def main() -> int:
    """Exit code 0 when the model is champion, 3 when it was refused."""
    if stale():
        raise Refusal("conf/, data or code have changed since the last run: run `dvc repro` first")
    return 0 if release(force="--force" in sys.argv[1:]) else REFUSED


if __name__ == "__main__":
    run(main)
