"""`make demo` on a broken project: it fails, names the step and leaves no process behind."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest

import demo.__main__
from demo.steps import Facts, Life

from .conftest import Lived
from .inside import copy, edit


def test_a_broken_stage_fails_the_demo_by_name(template: Path, tmp_path: Path) -> None:
    # FCC 2: `just project` ended with 0 and had run nothing.
    broken = tmp_path / "template"
    shutil.copytree(template, broken)
    (stage,) = broken.glob("*/src/*/pipeline/ingest.py")
    text = stage.read_text(encoding="utf-8")
    stage.write_text(
        text.replace('    """Write data/raw', '    raise Refusal("sabotage")\n    """')
    )
    assert "sabotage" in stage.read_text(encoding="utf-8")

    done = subprocess.run(
        [sys.executable, "-m", "demo"], cwd=broken, capture_output=True, text=True, check=False
    )

    assert done.returncode == 1
    assert "FAILED at step 3, data to evaluated model (dvc repro):" in done.stderr
    assert "error: sabotage" in done.stderr
    assert "failed to reproduce 'ingest'" in done.stderr
    assert "[ 3/15] data to evaluated model" in done.stdout
    assert "[ 4/15]" not in done.stdout
    assert "What happened" not in done.stdout


def test_a_failure_while_the_service_runs_stops_the_service(
    life: Lived,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    project = copy(life.project, tmp_path / "copy")
    edit(
        project,
        "src/flight_delays/replay.py",
        "    answered: Counter[int] = Counter()",
        '    raise Refusal("sabotage")',
    )

    class Short(Life):
        """Serve, then send traffic."""

        seen: ClassVar[dict[str, Any]] = {}

        def steps(self) -> Iterator[tuple[str, Callable[[], Facts]]]:
            self.project = project
            yield "serve it", self.serve
            yield "send traffic", self.replay

        def serve(self) -> Facts:
            facts = super().serve()
            self.seen["process"] = self.process
            return facts

    monkeypatch.setattr(demo.__main__, "Life", Short)

    assert demo.__main__.main() == 1

    told = capsys.readouterr()
    assert "FAILED at step 2, send traffic:" in told.err
    assert "error: sabotage" in told.err
    process = Short.seen["process"]
    assert process.returncode is not None
    with pytest.raises(ProcessLookupError):
        os.killpg(process.pid, 0)
    with pytest.raises(OSError, match="refused"):
        project.get("/health/live")
