"""Starts retrainings of a project from a process that has imported everything: runs by the project.

Each run, each DVC command and each stage is a process of its own, as ever; only the imports, most
of their time, are there already. A run is killed where its order says. Knows nothing of the tests.

    python warm.py <package> <file>    reads orders as JSON lines, answers with JSON lines

The file collects what the processes of one run have imported besides, for the next ones.
"""

import json
import os
import shlex
import signal
import subprocess
import sys
import traceback
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from importlib import import_module
from typing import Any, NoReturn

PACKAGE, LEARNED = sys.argv[1:]
HEAVY = (
    "duckdb", "dvc.cli", "dvc.repo", "hydra", "joblib", "matplotlib.pyplot", "mlflow.sklearn",
    "pandas", "sklearn.compose", "sklearn.linear_model", "sklearn.pipeline", "skops.io",
)  # fmt: skip
STAGES = ("compose", "ingest", "validate", "split", "train", "evaluate")
known: set[str] = set()
start = subprocess.Popen._execute_child  # type: ignore[attr-defined]


def main() -> None:
    """Start a run for each order, one after the other."""
    for name in HEAVY:
        import_module(name)
    for stage in STAGES:
        import_module(f"{PACKAGE}.pipeline.{stage}")
    import_module(f"{PACKAGE}.retrain")
    tell({"ready": True})
    for line in sys.stdin:
        order = json.loads(line)
        learn()
        reading, writing = os.pipe()
        pid = os.fork()
        if not pid:
            os.setsid()
            os.close(writing)
            ended(partial(run, order))
        os.close(writing)
        os.read(reading, 1)
        os.close(reading)
        tell({"pid": pid})
        _, status = os.waitpid(pid, 0)
        tell({"code": os.waitstatus_to_exitcode(status)})


def learn() -> None:
    """Import what earlier runs have."""
    with open(LEARNED, "a+", encoding="utf-8") as file:  # noqa: PTH123
        file.seek(0)
        for name in set(file.read().split()) - set(sys.modules):
            with suppress(Exception):
                import_module(name)
    known.update(sys.modules)


def tell(answer: dict[str, Any]) -> None:
    """Answer with a line."""
    print(json.dumps(answer), flush=True)


def ended(work: Callable[[], Any]) -> NoReturn:
    """Do the work of a process and end it as Python would."""
    code = 1
    try:
        work()
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        traceback.print_exc()
    finally:
        with open(LEARNED, "a", encoding="utf-8") as file:  # noqa: PTH123
            file.write("\n".join([*set(sys.modules).difference(known, ["__mp_main__"]), ""]))
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def run(order: dict[str, Any]) -> None:
    """One retraining, its output in a file."""
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    said = os.open(order["said"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(said, 1)
    os.dup2(said, 2)
    subprocess.Popen._execute_child = forked  # type: ignore[attr-defined]
    os.chdir(order["folder"])
    os.environ.update(order.get("environment", {}))
    for where, value in order.get("settings", {}).items():
        owner, name = found(where)
        setattr(owner, name, value)
    if place := order.get("place"):
        kill_at(**place)
    module = import_module(f"{PACKAGE}.retrain")
    sys.argv = ["retrain", *order.get("arguments", ())]
    import_module(f"{PACKAGE}.cli").run(module.main)


def found(where: str) -> tuple[Any, str]:
    """What holds a thing, `module:name[.name]`, and its name there."""
    module, _, path = where.partition(":")
    owner: Any = import_module(module.replace("PACKAGE", PACKAGE))
    *parents, name = path.split(".")
    for parent in parents:
        owner = getattr(owner, parent)
    return owner, name


def kill_at(where: str, when: str, turn: int = 1) -> None:
    """Kill the whole group before or after the n-th call of a function."""
    owner, name = found(where)
    original, calls = getattr(owner, name), [0]

    def watched(*arguments: Any, **named: Any) -> Any:
        calls[0] += 1
        if when == "before" and calls[0] == turn:
            os.killpg(0, signal.SIGKILL)
        done = original(*arguments, **named)
        if when == "after" and calls[0] == turn:
            os.killpg(0, signal.SIGKILL)
        return done

    setattr(owner, name, watched)


def forked(process: Any, args: Any, *rest: Any) -> None:
    """In place of `Popen._execute_child`: a Python of ours is forked, all else is executed."""
    work = python(args)
    if work is None:
        start(process, args, *rest)
        return
    cwd, environment = rest[4:6]
    pipes = rest[9:15]
    process.pid = os.fork()
    if not process.pid:
        for number, descriptor in enumerate((pipes[0], pipes[3], pipes[5])):
            if descriptor not in (-1, number):
                os.dup2(descriptor, number)
        os.chdir(cwd or ".")
        if environment is not None:
            os.environ.clear()
            os.environ.update(environment)
        ended(work)
    process._child_created = True
    process._close_pipe_fds(*pipes)


def python(args: Any) -> Callable[[], Any] | None:
    """What a command does that starts DVC or a stage; None for any other."""
    words = list(map(os.fspath, [args] if isinstance(args, str | bytes | os.PathLike) else args))
    if words[-2:-1] == ["-c"] and words[0].endswith("sh"):
        words = shlex.split(words[-1])
    if len(words) < 3 or words[1] != "-m" or not os.path.basename(words[0]).startswith("python"):  # noqa: PTH119
        return None
    if words[2] == "dvc":
        return lambda: sys.exit(import_module("dvc.cli").main(words[3:]))
    if words[2].startswith(f"{PACKAGE}.pipeline."):
        stage = import_module(words[2])
        return lambda: import_module(f"{PACKAGE}.cli").run(stage.main)
    return None


if __name__ == "__main__":
    main()
