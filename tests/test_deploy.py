"""The folder deploy/ held to reality: the image's steps, a real Prometheus, schemas and linters."""

import json
import os
import re
import shutil
import signal
import stat
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple
from urllib.parse import urlencode

import compose_spec
import kubernetes_validate  # type: ignore[import-untyped]
import pytest
import yaml

from demo.project import PATIENCE, free_port

from .conftest import Lived
from .image import Image, build, interpreter

KEY = "a-key-of-the-tests"
OLDEST, NEWEST = "1.30", "1.37"  # of Kubernetes: what deploy/README.md asks for, what is known here


class Running(NamedTuple):
    """The image's service, started with two workers and an API key."""

    process: subprocess.Popen[bytes]
    port: int
    log: Path

    def ask(self, path: str, body: object = None, key: str | None = KEY) -> Any:
        """The service's answer as JSON, or as text where it is none."""
        data = None if body is None else json.dumps(body).encode()
        headers = {} if key is None else {"Authorization": f"Bearer {key}"}
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", data, headers)
        with urllib.request.urlopen(request, timeout=10) as reply:
            text = reply.read().decode()
        return json.loads(text) if text.startswith(("{", "[")) else text


def wait(condition: Callable[[], bool], log: Path) -> None:
    """Ask until the condition holds; fails with the log after `PATIENCE`."""
    began = time.perf_counter()
    while time.perf_counter() - began < PATIENCE:
        try:
            if condition():
                return
        except OSError:
            pass  # not listening yet
        time.sleep(0.1)
    raise AssertionError(f"waited in vain:\n{log.read_text(encoding='utf-8', errors='replace')}")


def gone(group: int) -> bool:
    """Whether no process of a group is left."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return True
    return False


def document(path: Path) -> Any:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def code_of(path: Path) -> dict[str, tuple[int, int]]:
    """Every file of a folder, with its size and time."""
    found = ((file, file.lstat()) for file in path.rglob("*") if not file.is_dir())
    return {str(file): (facts.st_size, facts.st_mtime_ns) for file, facts in found}


@pytest.fixture(scope="module")
def image(life: Lived) -> Iterator[Image]:
    """The image of the lived project, with a state folder that its user owns."""
    project = life.project.folder
    dockerfile = project / "deploy/Dockerfile"
    (user,) = re.findall(r"^USER (\d+)", dockerfile.read_text(encoding="utf-8"), re.MULTILINE)
    python = interpreter(int(user))
    if python is None:
        pytest.skip("there is no Python that a user without rights may start")
    with TemporaryDirectory(prefix="image-") as folder:
        root = Path(folder).resolve()
        root.chmod(0o755)  # pytest's own folders are closed to others
        made = build(dockerfile, project, root, python)
        yield made


@pytest.fixture
def var(image: Image, life: Lived) -> Iterator[Path]:
    """The state as compose and Kubernetes mount it: two folders to read, two to write."""
    folder = Path(image.environment["VAR_DIR"])
    image.folder.chmod(0o755)
    folder.mkdir()
    shutil.copytree(life.project.folder / "var/bundles", folder / "bundles")
    (folder / "monitoring").mkdir()
    for name in ("predictions", "feedback", "tmp"):
        (folder / name).mkdir()
        if not os.geteuid():
            os.chown(folder / name, image.user, image.group)
    folder.chmod(0o555)
    yield folder
    folder.chmod(0o755)
    shutil.rmtree(folder)


@pytest.fixture
def running(image: Image, var: Path, tmp_path: Path) -> Iterator[Running]:
    """The image's command, ready."""
    port, log = free_port(), tmp_path / "service.log"
    variables = {
        "SERVE_PORT": str(port),
        "SERVE_WORKERS": "2",
        "SERVE_API_KEY": KEY,
        "TMPDIR": str(var / "tmp"),
    }
    with image.started(log, **variables) as process:

        def ready() -> bool:
            assert process.poll() is None, log.read_text(encoding="utf-8")
            return image.run(image.check, SERVE_PORT=str(port)).returncode == 0

        wait(ready, log)
        yield Running(process, port, log)


def test_the_image_holds_the_serving_lock_and_the_package_and_nothing_else(
    image: Image, life: Lived
) -> None:
    code = (
        "import json; from importlib.metadata import distributions as all; "
        "print(json.dumps({found.name: found.version for found in all()}))"
    )
    done = image.run([image.command[0], "-c", code])
    assert done.returncode == 0, done.stderr
    versions = json.loads(done.stdout)
    installed = {name.lower().replace("_", "-"): found for name, found in versions.items()}
    assert installed.pop(life.project.folder.name)
    lock = (life.project.folder / "locks/serve.txt").read_text(encoding="utf-8")
    locked = re.findall(r"^([\w.-]+)==(\S+) (;)?", lock, re.MULTILINE)
    assert set(installed.items()) <= {(name, version) for name, version, _ in locked}
    assert {name for name, _, marker in locked if not marker} <= set(installed)


def test_the_code_of_the_image_is_compiled_and_closed_to_its_user(image: Image) -> None:
    code = f"import {image.command[2]} as serving; print(serving.__file__)"
    module = Path(image.run([image.command[0], "-c", code]).stdout.strip())
    assert module.is_relative_to(image.root / "venv")
    sources = [path for path in module.parents[1].rglob("*.py") if path.stat().st_size]
    assert len(sources) > 10
    for path in sources:
        assert list((path.parent / "__pycache__").glob(f"{path.stem}.*.pyc")), path
    for place in (image.folder, image.root / "venv"):
        for path in place.rglob("*"):
            if not path.is_symlink():
                assert path.stat().st_uid != image.user, path
                assert not path.stat().st_mode & stat.S_IWOTH, path


def test_it_answers_as_the_unprivileged_user_and_writes_to_its_logs_only(
    image: Image, running: Running, var: Path, life: Lived
) -> None:
    before = code_of(image.folder), code_of(image.root / "venv")
    told = life.facts["predict"]
    answer = running.ask("/predict", told["row"])
    assert answer["version"] == told["answer"]["version"]
    assert answer["predictions"][0]["probability"] == pytest.approx(
        told["answer"]["predictions"][0]["probability"], abs=1e-9
    )
    logged = [
        json.loads(line)
        for path in (var / "predictions").glob("*.jsonl")
        for line in path.read_text(encoding="utf-8").splitlines()
    ]
    assert [line["id"] for line in logged] == [answer["predictions"][0]["id"]]
    if not os.geteuid():
        owner = Path(f"/proc/{running.process.pid}").stat()
        assert (owner.st_uid, owner.st_gid) == (image.user, image.group)
    after = code_of(image.folder), code_of(image.root / "venv")
    written = {name for name in after[0] if after[0][name] != before[0].get(name)}
    assert all(Path(name).is_relative_to(var) for name in written)
    assert after[1] == before[1]


def test_probes_and_health_check_need_no_key_and_everything_else_does(
    image: Image, running: Running, life: Lived
) -> None:
    (container,) = document(life.project.folder / "deploy/kubernetes/deployment.yaml")["spec"][
        "template"
    ]["spec"]["containers"]
    probes = {container[f"{name}Probe"]["httpGet"]["path"] for name in ("startup", "liveness")}
    for path in probes | {container["readinessProbe"]["httpGet"]["path"]}:
        running.ask(path, key=None)
    for path in ("/model", "/metrics"):
        with pytest.raises(urllib.error.HTTPError, match="401"):
            running.ask(path, key=None)


def test_the_health_check_fails_where_nothing_answers_and_asks_no_proxy(
    image: Image, running: Running
) -> None:
    proxy = {"http_proxy": f"http://127.0.0.1:{free_port()}"}
    assert image.run(image.check, SERVE_PORT=str(running.port), **proxy).returncode == 0
    assert image.run(image.check, SERVE_PORT=str(free_port())).returncode != 0


def test_a_promotion_in_the_mounted_folder_is_followed(running: Running, var: Path) -> None:
    first = running.ask("/model")["version"]
    (other,) = {1, 2} - {first}
    (bundle,) = (var / "bundles").glob(f"v{other}-*")
    pointer = json.loads((var / "bundles/champion.json").read_text(encoding="utf-8"))
    new = var / "bundles/champion.json.new"
    new.write_text(json.dumps(pointer | {"bundle": bundle.name}), encoding="utf-8")
    new.rename(var / "bundles/champion.json")
    wait(lambda: bool(running.ask("/model")["version"] == other), running.log)


def test_sigterm_ends_it_with_code_0_and_leaves_no_process(running: Running) -> None:
    running.process.send_signal(signal.SIGTERM)
    assert running.process.wait(timeout=PATIENCE) == 0
    wait(lambda: gone(running.process.pid), running.log)


@pytest.fixture
def prometheus(running: Running, life: Lived, tmp_path: Path) -> Iterator[Callable[..., Any]]:
    """A real Prometheus on the project's files, which scrapes each second; ask it by its API."""
    if not shutil.which("prometheus"):
        pytest.skip("prometheus is not installed (Debian: prometheus)")
    folder = tmp_path / "prometheus"
    shutil.copytree(life.project.folder / "deploy/prometheus", folder)
    (folder / "key").write_text(f"{KEY}\n", encoding="utf-8")
    settings = (folder / "prometheus.yml").read_text(encoding="utf-8")
    for old, new in (
        ("service:8000", f"127.0.0.1:{running.port}"),
        ("/run/secrets/api-key", str(folder / "key")),
        ("15s", "1s"),
    ):
        assert old in settings
        settings = settings.replace(old, new)
    (folder / "prometheus.yml").write_text(settings, encoding="utf-8")
    address, log = f"127.0.0.1:{free_port()}", tmp_path / "prometheus.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [
                "prometheus",
                f"--config.file={folder}/prometheus.yml",
                f"--storage.tsdb.path={folder}/data",
                f"--web.listen-address={address}",
            ],
            stdout=output,
            stderr=subprocess.STDOUT,
        )

    def ask(path: str, **parameters: str) -> Any:
        url = f"http://{address}/api/v1/{path}?{urlencode(parameters)}"
        with urllib.request.urlopen(url, timeout=10) as reply:
            return json.load(reply)["data"]

    try:
        wait(lambda: bool(ask("targets")), log)
        yield ask
    finally:
        process.terminate()
        process.wait(timeout=PATIENCE)


def test_a_real_prometheus_scrapes_it_and_every_query_finds_something(
    prometheus: Callable[..., Any], running: Running, life: Lived, var: Path
) -> None:
    for name in ("retrain.json", "latest.json"):  # how long ago a run has ended well
        shutil.copy(life.project.folder / "var/monitoring" / name, var / "monitoring" / name)
    row = life.facts["predict"]["row"]
    text = (life.project.folder / "deploy/grafana/dashboards/service.json").read_text("utf-8")
    shown = [target["expr"] for panel in json.loads(text)["panels"] for target in panel["targets"]]
    queries = {re.sub(r"\$__(rate_interval|range)", "1m", query) for query in shown}
    assert len(queries) >= 10

    def found(query: str) -> bool:
        return bool(prometheus("query", query=query)["result"])

    def everything() -> bool:
        running.ask("/predict", row)
        with pytest.raises(urllib.error.HTTPError, match="401"):
            running.ask("/predict", row, key=None)
        return all(map(found, queries))

    try:
        wait(everything, running.log)
    except AssertionError:
        pytest.fail(f"found nothing: {[query for query in queries if not found(query)]}")
    (up,) = prometheus("query", query="up")["result"]
    assert up["value"][1] == "1"
    assert up["metric"]["job"] == life.project.folder.name


def test_no_alert_goes_off_at_a_sound_service_and_one_at_a_dead_one(
    prometheus: Callable[..., Any], running: Running, life: Lived
) -> None:
    names = [
        rule["alert"]
        for group in document(life.project.folder / "deploy/prometheus/alerts.yml")["groups"]
        for rule in group["rules"]
    ]

    def rules() -> dict[str, tuple[str, str]]:
        groups = prometheus("rules")["groups"]
        found = [rule for group in groups for rule in group["rules"]]
        return {rule["name"]: (rule["health"], rule["state"]) for rule in found}

    def all_are(state: str) -> bool:
        return rules() == dict.fromkeys(names, ("ok", state))

    def scraped() -> bool:
        return bool(prometheus("query", query="up == 1 and on () model_version > 0")["result"])

    wait(scraped, running.log)
    wait(lambda: all_are("inactive"), running.log)
    running.process.send_signal(signal.SIGTERM)
    running.process.wait(timeout=PATIENCE)
    wait(lambda: rules()["ServiceDown"] == ("ok", "pending"), running.log)
    others = {name: state for name, state in rules().items() if name != "ServiceDown"}
    assert set(others.values()) == {("ok", "inactive")}


def manifests(folder: Path) -> list[Path]:
    found = sorted((folder / "deploy/kubernetes").glob("*.yaml"))
    return [path for path in found if path.stem != "kustomization"]


@pytest.mark.parametrize("version", [OLDEST, NEWEST])
def test_the_manifests_fit_the_schemas_of_kubernetes(version: str, baked: Path) -> None:
    assert len(manifests(baked)) >= 6
    for path in manifests(baked):
        kubernetes_validate.validate(document(path), version, strict=True)


def test_the_schemas_of_kubernetes_refuse_what_is_misspelt(baked: Path) -> None:
    for path in manifests(baked):
        wrong = document(path)
        wrong["spec"]["misspelt"] = True
        with pytest.raises(kubernetes_validate.ValidationError):
            kubernetes_validate.validate(wrong, NEWEST, strict=True)


def composed(folder: Path) -> str:
    """compose.yaml as an engine reads it: variables and anchors filled in."""
    text = (folder / "deploy/compose.yaml").read_text(encoding="utf-8")
    text = re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", text)
    text = re.sub(r"\$\{\w+:\?[^}]*\}", "given", text)
    return yaml.safe_dump(yaml.safe_load(text))


def test_the_compose_file_follows_the_compose_specification(baked: Path) -> None:
    text = composed(baked)
    compose_spec.PyCompose.from_yaml(text).validate()
    with pytest.raises(ValueError, match="cap_dorp"):
        compose_spec.PyCompose.from_yaml(text.replace("cap_drop", "cap_dorp", 1))


def test_the_linter_of_dockerfiles_has_nothing_to_say(baked: Path) -> None:
    done = subprocess.run(
        ["hadolint", baked / "deploy/Dockerfile"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_systemd_knows_every_setting_of_the_unit(baked: Path, tmp_path: Path) -> None:
    if not shutil.which("systemd-analyze"):
        pytest.skip("systemd-analyze is not installed")
    (unit,) = (baked / "deploy/systemd").glob("*.service")
    text, replaced = re.subn(r"^ExecStart=\S+", "ExecStart=/bin/true", unit.read_text(), flags=re.M)
    assert replaced == 1
    (tmp_path / unit.name).write_text(text, encoding="utf-8")
    done = subprocess.run(
        ["systemd-analyze", "verify", tmp_path / unit.name],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
