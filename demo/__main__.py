"""`make demo`: run the steps with visible progress and end with what happened and where to look."""

import json
import signal
import sys
import time
from typing import Any

from .project import TEMPLATE, CommandFailed
from .steps import TRAFFIC, Life, StepFailed

OUTPUT = TEMPLATE / "build/demo"


def show(line: str) -> None:
    """Print a line of a command's output, set back from the steps' titles."""
    print(f"      {line[:160]}", flush=True)


def summary(facts: dict[str, Any], seconds: dict[str, float]) -> str:
    """What happened, what it was worth, how long it took and where to look."""
    folder = facts["bake"]["folder"]
    seen, journal = facts["drift"]["summary"], facts["retrain"]["journal"]
    first, second = facts["repro"]["metrics"], facts["retrain"]["metrics"]
    known = journal["monitoring"]
    lines = [
        "",
        "What happened",
        f"  version 1  log loss {first['model']['log_loss']:.4f} on {first['rows']:,} flights of "
        f"June (baseline {first['baseline']['log_loss']:.4f}), ROC AUC "
        f"{first['model']['roc_auc']:.4f}",
        f"  traffic    {facts['replay']['logged']:,} predictions in the log; "
        f"{seen['status']}: {seen['reason']}",
        f"  labels     of {known['labelled_rows']:,} flights arrived with {TRAFFIC}: log loss "
        f"{known['performance']['log_loss']:.4f} in production, "
        f"{known['reference_performance']['log_loss']:.4f} at release",
        f"  version 2  {journal['outcome']}: {journal['decision']['reason']}",
        f"             ROC AUC {second['model']['roc_auc']:.4f} on {second['rows']:,} flights",
        "  rollback   version 1 answers again, in the same server process",
        "",
        "How long it took",
        *(f"  {took:6.1f} s  {title}" for title, took in seconds.items()),
        f"  {sum(seconds.values()):6.1f} s  in all",
        "",
        "Where to look",
        f"  project        {folder}",
        f"  drift report   {folder}/var/monitoring/{known['report']}",
        f"  over time      {folder}/var/monitoring/{known['trend']}",
        f"  model card     {folder}/var/bundles/{facts['retrain']['bundle']}/card.md",
        f"  history        cd {folder} && make history",
        f"  MLflow         cd {folder} && make ui      then http://127.0.0.1:5000",
        f"  service        cd {folder} && make serve   then http://127.0.0.1:8000",
    ]
    return "\n".join(lines)


def main() -> int:
    """Run every step; 1 and the name of the step when one fails."""
    for ending in (signal.SIGTERM, signal.SIGHUP):  # so that the service is stopped then, too
        signal.signal(ending, lambda which, _: sys.exit(128 + which))
    life = Life(OUTPUT, show)
    steps = list(life.steps())
    facts: dict[str, Any] = {}
    seconds: dict[str, float] = {}
    try:
        for number, (title, step) in enumerate(steps, start=1):
            print(f"[{number:2}/{len(steps)}] {title}", flush=True)
            began = time.perf_counter()
            try:
                facts[step.__name__] = step()
            except Exception as error:
                said = error if isinstance(error, (CommandFailed, StepFailed)) else repr(error)
                print(f"\nFAILED at step {number}, {title}:\n{said}", file=sys.stderr)
                return 1
            seconds[title] = time.perf_counter() - began
            print(f"      done in {seconds[title]:.1f} s", flush=True)
    finally:
        life.close()
    (OUTPUT / "facts.json").write_text(json.dumps(facts, indent=2), encoding="utf-8")
    print(summary(facts, seconds))
    return 0


if __name__ == "__main__":
    sys.exit(main())
