"""The systemd unit: the service as `make serve` starts it, shut in, and ended in good order."""

import re
import shutil
import subprocess

import pytest

from {{ cookiecutter.__package }} import paths

from . import shipped

(UNIT,) = (shipped.DEPLOY / "systemd").glob("*.service")
SETTINGS = re.findall(r"^(\w+)=(.*)$", UNIT.read_text(encoding="utf-8"), re.MULTILINE)


def test_the_unit_starts_what_the_image_starts() -> None:
    settings = dict(SETTINGS)
    (command,) = shipped.values("CMD")
    started = settings["ExecStart"].removeprefix(f"{settings['WorkingDirectory']}/.venv/bin/")
    assert str(started.split()).replace("'", '"') == command


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
