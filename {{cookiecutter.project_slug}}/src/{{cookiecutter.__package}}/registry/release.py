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
from ..pipeline.split import labelled
from ..serving import bundle
from . import card, deploy, history, lineage, tracking
from .build import build, held_out, partitions
from .gate import Verdict, judge
from .store import BUNDLE, CHAMPION, Store, Version

REFUSED = 3  # exit code of a release that the gate has refused


def release(force: bool = False) -> bool:
    """Release the workspace's model; returns whether it is champion now.

    `force` lets a version back in that has been rolled back.
    """
    with locks.exclusive("release"):
        made = lineage.read()
        store = Store(config.read("name", str))
        champion = store.holder(CHAMPION)
        known = store.version_of(made.fingerprint)
        if champion:
            try:
                deploy.point(store, champion)  # also on a machine that has not served it before
            except bundle.OtherFormat as old:  # the code has been updated since
                print(f"the champion cannot be served any more: {old}")
        if champion and known and champion.number == known.number:
            if not history.judged(made.fingerprint):
                reason = "found as champion in the registry"
                history.record("promoted", champion.number, made.fingerprint, reason)
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
        history.record("refused", None, made.fingerprint, verdict.reason, rule=verdict.rule)
        print(f"refused by rule {verdict.rule}; the champion stays")
        return False
    if known is None:
        source = tracking.log_model(pipeline, data, run_id)
        known = store.register(source, run_id, {"fingerprint": made.fingerprint})
    text = card.render(f"{store.name}, version {known.number}", data, manifest, made, verdict)
    (aside / bundle.CARD).write_text(text, encoding="utf-8")
    sums = manifest.files | {bundle.CARD: files.digest(aside / bundle.CARD)}
    manifest = msgspec.structs.replace(manifest, version=known.number, run_id=run_id, files=sums)
    deploy.write_manifest(aside, manifest)
    folder = deploy.settle(aside, known)
    tracking.log_folder(folder, run_id, BUNDLE)
    store.crown(known, champion)
    deploy.point(store, known)
    history.record(
        "promoted",
        known.number,
        made.fingerprint,
        verdict.reason,
        rule=verdict.rule,
        previous=champion.number if champion else None,
    )
    print(f"version {known.number} is champion; its card is {folder / bundle.CARD}")
    return True


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
    old = readable(store, champion) if champion else None
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
    scored = task.score(labels, bundle.Model(challenger).predict_columns(rows))
    baseline = task.score(labels, task.baseline(known, len(labels)))
    theirs = task.score(labels, old.predict_columns(rows)) if old else None
    if old and old.manifest.model_md5 == made.model_md5:
        reason = "the champion's own model with other settings"
        return Verdict(True, "same_model", reason, scored, theirs, baseline)
    return judge(config.read("gate", config.Gate), task, scored, theirs, baseline)


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
    """Columns of a request and target of the labelled rows that judge, of some partitions."""
    files_ = [paths.RAW / f"{name}.parquet" for name in names]
    wanted = [*data.asked, data.roles.target]
    query = f"SELECT {table.quoted(*wanted)} FROM ({labelled(data, split, files_, holdout=True)})"
    return table.by_name(wanted, table.rows(query))


def main() -> int:
    """Exit code 0 when the model is champion, 3 when it was refused."""
    if stale():
        raise Refusal("conf/, data or code have changed since the last run: run `dvc repro` first")
    return 0 if release(force="--force" in sys.argv[1:]) else REFUSED


if __name__ == "__main__":
    run(main)
