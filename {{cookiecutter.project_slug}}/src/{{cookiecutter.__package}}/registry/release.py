"""`make release`: register the evaluated model, let the gate judge it, promote it if it may serve.

Safe to repeat and to interrupt: every step first looks whether it has been done.
"""

import shutil
import sys
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import msgspec

from .. import config, files, locks, paths
from ..cli import Refusal, run
from ..dvc import stale
from ..serving import bundle
from . import card, deploy, history, lineage, tracking
from . import verdict as verdicts
from .build import build
from .compare import compare
from .gate import Verdict
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
        if not (line := history.repeated("refused", made.fingerprint, verdict.reason)):
            line = {"rule": verdict.rule, "report": _report(store.name, made, verdict, run_id)}
            history.record("refused", None, made.fingerprint, verdict.reason, **line)
        print(f"refused by rule {verdict.rule}; the champion stays. Why: {_found(line)}")
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
    for change in verdict.changes:
        print(f"callers must change their requests: the model {change}")
    line = {
        "rule": verdict.rule,
        "previous": champion.number if champion else None,
        "report": _report(f"{store.name}, version {known.number}", made, verdict, run_id),
    }
    history.record("promoted", known.number, made.fingerprint, verdict.reason, **line)
    print(f"version {known.number} is champion; its card is {folder / bundle.CARD}")
    print(f"why: {_found(line)}")
    return True


def _report(name: str, made: lineage.Lineage, verdict: Verdict, run_id: str) -> str:
    """Write the page on a verdict and log it to the run; its path below `var/`."""
    gate = config.read("gate", config.Gate)
    path = verdicts.write(name, made.fingerprint, gate, verdict, history.now())
    tracking.log_file(path, run_id, path.parent.name)
    return path.relative_to(paths.VAR).as_posix()


def _found(line: dict[str, Any]) -> Path:
    return paths.VAR / str(line.get("report", paths.HISTORY.name))


def main() -> int:
    """Exit code 0 when the model is champion, 3 when it was refused."""
    if stale():
        raise Refusal("conf/, data or code have changed since the last run: run `dvc repro` first")
    return 0 if release(force="--force" in sys.argv[1:]) else REFUSED


if __name__ == "__main__":
    run(main)
