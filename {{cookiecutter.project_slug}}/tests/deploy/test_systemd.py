"""The systemd unit: the service as `make serve` starts it, shut in, and ended in good order."""

import re
import shutil
import subprocess

import pytest
from omegaconf import OmegaConf

from {{ cookiecutter.__package }} import paths, serving

from ..project import ROOT

(UNIT,) = (ROOT / "deploy/systemd").glob("*.service")
SETTINGS = re.findall(r"^(\w+)=(.*)$", UNIT.read_text(encoding="utf-8"), re.MULTILINE)


def test_the_unit_starts_what_make_serve_starts() -> None:
    settings = dict(SETTINGS)
    started = settings["ExecStart"].removeprefix(f"{settings['WorkingDirectory']}/.venv/bin/")
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    (served,) = re.findall(r"^\t@exec (python -m \S+)\.serving$", makefile, re.MULTILINE)
    assert served == "python -m $(PACKAGE)"
    assert started == f"python -m {serving.__name__}"


def test_the_longest_request_is_answered_before_the_parent_is_ended() -> None:
    settings = dict(SETTINGS)
    longest = OmegaConf.load(ROOT / "conf/serving/default.yaml").request_seconds
    assert int(settings["TimeoutStopSec"]) > longest
    assert settings["KillMode"] == "mixed"


def test_the_unit_lets_the_service_write_to_its_logs_only() -> None:
    settings = dict(SETTINGS)
    var = f"{settings['WorkingDirectory']}/{paths.VAR.name}"
    assert settings["ProtectSystem"] == "strict"
    assert settings["ReadWritePaths"].split() == [f"{var}/predictions", f"{var}/feedback"]
    assert settings["User"] not in ("", "root")


@pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed"
)
def test_systemd_finds_the_unit_shut_in_and_knows_every_setting() -> None:
    done = subprocess.run(
        ["systemd-analyze", "security", "--offline=yes", "--threshold=20", str(UNIT)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    assert not re.search(r"(?i)unknown|invalid|ignoring", done.stderr), done.stderr
