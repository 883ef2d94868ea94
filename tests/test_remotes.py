"""Data go to each kind of DVC remote and come back: against servers of this machine."""

import getpass
import hashlib
import os
import re
import shutil
import socket
import subprocess
import urllib.request
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest

from demo.project import Project, bake, free_port

from .conftest import Lived
from .inside import borrowed, refusal
from .test_deploy import wait
from .test_extremes import lent
from .test_options import CHOICES

SSHD = shutil.which("sshd", path=f"{os.environ['PATH']}:/usr/sbin")
AZURITE = shutil.which("azurite-blob")
KEY = b64encode(b"a key of the tests, of 32 letters").decode()

SSHD_CONFIG = """
ListenAddress 127.0.0.1
HostKey {folder}/host
AuthorizedKeysFile {folder}/user.pub
PidFile none
StrictModes no
UsePAM no
PasswordAuthentication no
Subsystem sftp internal-sftp
"""


@pytest.mark.parametrize(
    ("answers", "name", "url"),
    [
        ({}, "local", "{folder}/out/flight-delays.dvc-remote"),
        ({"dvc_remote_url": "../../große Daten"}, "local", "{folder}/große Daten"),
        ({"dvc_remote_url": "/srv/data"}, "local", "/srv/data"),
        ({"dvc_remote": "s3"}, "s3", "s3://flight-delays/dvc"),
        ({"dvc_remote": "azure"}, "azure", "azure://flight-delays/dvc"),
        (
            {"dvc_remote": "ssh", "dvc_remote_url": "ssh://ann@host:22/srv"},
            "ssh",
            "ssh://ann@host:22/srv",
        ),
    ],
)
def test_dvc_finds_the_data_where_the_answers_say(
    answers: dict[str, str], name: str, url: str, life: Lived, template: Path, tmp_path: Path
) -> None:
    folder = bake(tmp_path / "out", template, **answers)
    (folder / ".venv").symlink_to(life.project.folder / ".venv")
    project = borrowed(folder)
    project.environment["COLUMNS"] = "1000"
    said = project.run("dvc", "remote", "list")
    assert re.split(r"\s{2,}|\t", said.strip()) == [name, url.format(folder=tmp_path), "(default)"]


class Server(NamedTuple):
    """What a project must know to reach a server: variables, and settings of its DVC remote."""

    variables: dict[str, str]
    settings: dict[str, str]


@contextmanager
def started(command: list[str], port: int, log: Path) -> Iterator[None]:
    """A server that listens on a port until the block ends."""

    def listens() -> bool:
        with socket.create_connection(("127.0.0.1", port), timeout=1):
            return True

    with log.open("wb") as output:
        process = subprocess.Popen(command, cwd=log.parent, stdout=output, stderr=output)
    try:
        wait(listens, log)
        yield
    finally:
        process.kill()  # nothing it holds is wanted; azurite takes its time to end in good order
        process.wait()


@contextmanager
def s3(folder: Path, emulators: Path) -> Iterator[Server]:
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    command = [str(emulators / "moto_server"), "-H", "127.0.0.1", "-p", str(port)]
    with started(command, port, folder / "log"):
        request = urllib.request.Request(f"{address}/flight-delays", method="PUT")
        urllib.request.urlopen(request, timeout=10).close()
        secrets = {"AWS_ACCESS_KEY_ID": "tests", "AWS_SECRET_ACCESS_KEY": KEY}
        yield Server(secrets, {"endpointurl": address})


@contextmanager
def gs(folder: Path, emulators: Path) -> Iterator[Server]:
    port = free_port()
    command = [str(emulators / "gcp-storage-emulator"), "start", "--host", "127.0.0.1"]
    bucket = ["--port", str(port), "--in-memory", "--default-bucket", "flight-delays"]
    with started([*command, *bucket], port, folder / "log"):
        yield Server({"STORAGE_EMULATOR_HOST": f"http://127.0.0.1:{port}"}, {})


@contextmanager
def azure(folder: Path, emulators: Path) -> Iterator[Server]:
    if not AZURITE:
        pytest.skip("azurite is not installed (npm install --global azurite)")
    port = free_port()
    command = [AZURITE, "--blobHost", "127.0.0.1", "--blobPort", str(port), "--skipApiVersionCheck"]
    address = f"http://127.0.0.1:{port}/tests"
    told = (
        f"DefaultEndpointsProtocol=http;AccountName=tests;AccountKey={KEY};BlobEndpoint={address}"
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AZURITE_ACCOUNTS", f"tests:{KEY}")
        with started([*command, "--location", str(folder)], port, folder / "log"):
            yield Server({"AZURE_STORAGE_CONNECTION_STRING": told}, {})


@contextmanager
def ssh(folder: Path, emulators: Path) -> Iterator[Server]:
    if not SSHD:
        pytest.skip("sshd is not installed (Debian: openssh-server)")
    for name in ("host", "user"):
        new = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / name)]
        subprocess.run(new, check=True)
    config = folder / "config"
    config.write_text(SSHD_CONFIG.format(folder=folder), encoding="utf-8")
    Path("/run/sshd").mkdir(exist_ok=True)  # where it locks itself in when started as root
    port = free_port()
    with started([SSHD, "-D", "-e", "-p", str(port), "-f", str(config)], port, folder / "log"):
        settings = {"url": f"ssh://127.0.0.1:{port}{folder}/store", "user": getpass.getuser()}
        key = (folder / "user").read_text(encoding="utf-8")
        yield Server({"SSH_KEY": key}, settings)


SERVERS = {"s3": s3, "gs": gs, "azure": azure, "ssh": ssh}

BUCKET = """
import os
from azure.storage.blob import BlobServiceClient
secret = os.environ["AZURE_STORAGE_CONNECTION_STRING"]
BlobServiceClient.from_connection_string(secret).create_container("flight-delays")
"""


def hashes(folder: Path) -> dict[str, str]:
    return {path.name: digest(path) for path in sorted(folder.iterdir())}


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.full
@pytest.mark.parametrize("kind", SERVERS)
def test_data_go_to_the_remote_and_a_runner_gets_them_back(
    kind: str, emulators: Path, template: Path, tmp_path: Path
) -> None:
    assert set(SERVERS) == set(CHOICES["dvc_remote"]) - {"local"}
    project = Project(bake(tmp_path / "out", template, dvc_remote=kind))
    place = tmp_path / "server"
    place.mkdir()
    project.make(".venv/.dev")
    project.run("uv", "pip", "check", "--python", ".venv")
    with SERVERS[kind](place, emulators) as server:
        project.environment |= server.variables
        for name, value in server.settings.items():
            project.run("dvc", "remote", "modify", "--local", kind, name, value)
        if kind == "azure":
            project.run("python", "-c", BUCKET)
        if kind == "ssh":
            project.run("dvc", "remote", "modify", "--local", kind, "keyfile", str(place / "user"))
        project.run("dvc", "repro", "ingest")
        raw = project.folder / "data/raw"
        before = hashes(raw)
        assert "7 files pushed" in project.run("dvc", "push")
        shutil.rmtree(raw)
        shutil.rmtree(project.folder / ".dvc/cache")

        if kind != "gs":  # whose secret is for Google itself
            if kind == "ssh":
                project.run("dvc", "remote", "modify", "--local", "--unset", kind, "keyfile")
            project.make("ci-remote")
        else:
            project.run("dvc", "pull", "--allow-missing")

        assert hashes(raw) == before
        assert len(before) == 6


@pytest.mark.parametrize("kind", CHOICES["dvc_remote"])
def test_a_runner_without_its_secrets_stops_with_a_sentence(
    kind: str, life: Lived, template: Path, tmp_path: Path
) -> None:
    project = lent(bake(tmp_path / "out", template, dvc_remote=kind), life)
    project.environment["MLFLOW_TRACKING_URI"] = "http://127.0.0.1:9"

    assert re.search(
        r"error: set the repository (secret|variable) [A-Z_]+[,;] ",
        refusal(project, "make", "ci-settings"),
    )
