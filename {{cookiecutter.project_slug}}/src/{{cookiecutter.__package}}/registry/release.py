"""`make release`: register the evaluated model, let the gate judge it, promote it if it may serve.

Safe to repeat and to interrupt: every step first looks whether it has been done.
"""

import shutil
import sys
from pathlib import Path
from tempfile import mkdtemp

import msgspec

from .. import config, files, locks, paths
from ..cli import Refusal, run
from ..dvc import stale
from ..serving import bundle
from . import card, deploy, history, lineage, shadow, tracking
from .build import build
from .compare import compare
from .crown import complete
from .promote import found, promote, report
from .store import BUNDLE, Store, Version, answering

REFUSED = 3  # exit code of a release that the gate has refused


def release(force: bool = False) -> bool:
    """Release the workspace's model; returns whether it is champion now.

    `force` lets a version back in that has been rolled back, and promotes without live traffic.
    """
    with locks.exclusive("release"), answering():
        deploy.sweep()
        made = lineage.read()
        store = Store(config.read("name", str))
        store.close_runs()
        shadow.look(store)
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
        if known and known.refused and not force:
            history.record("refused", known.number, made.fingerprint, known.refused)
            print(f"refused: {known.refused}; FORCE=1 promotes it all the same")
            return False
        if shadow.waits(made.fingerprint) and not force:
            return False
        paths.BUNDLES.mkdir(parents=True, exist_ok=True)
        aside = Path(mkdtemp(prefix=".challenger-", dir=paths.BUNDLES))
        aside.chmod(0o755)
        try:
            return _decide(store, made, champion, known, aside, force)
        finally:
            shutil.rmtree(aside, ignore_errors=True)


def _decide(
    store: Store,
    made: lineage.Lineage,
    champion: Version | None,
    known: Version | None,
    aside: Path,
    force: bool,
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
            page = report(store, store.name, made.fingerprint, verdict, run_id)
            line = {"rule": verdict.rule, "report": page}
            history.record("refused", None, made.fingerprint, verdict.reason, **line)
        print(f"refused by rule {verdict.rule}; the champion stays. Why: {found(line)}")
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
    shadowed = not force and shadow.wanted(verdict)
    verdict = msgspec.structs.replace(verdict, shadowed=shadowed)
    name = f"{store.name}, version {known.number}"
    page = report(store, name, known.fingerprint, verdict, run_id)
    if shadowed:
        line = shadow.begin(store, known, verdict.reason, rule=verdict.rule, report=page)
        return bool(line and line["event"] == "promoted")
    promote(store, known, champion, verdict.reason, rule=verdict.rule, report=page)
    shadow.leave(store, known)
    for change in verdict.changes:
        print(f"callers must change their requests: the model {change}")
    return True


def main() -> int:
    """Exit code 0 when the model is champion or a challenger unseen, 3 when it was refused."""
    if stale():
        raise Refusal("conf/, data or code have changed since the last run: run `dvc repro` first")
    if release(force="--force" in sys.argv[1:]) or shadow.waits(lineage.read().fingerprint):
        return 0
    return REFUSED


if __name__ == "__main__":
    run(main)
