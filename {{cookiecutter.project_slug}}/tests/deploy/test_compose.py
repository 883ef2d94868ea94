"""compose.yaml: what is hardened, what is open to whom, and which folders the service sees."""

import re
from typing import Any

import pytest

from {{ cookiecutter.__package }} import paths

from . import shipped

SERVICES = shipped.compose()


@pytest.mark.parametrize("name", SERVICES)
def test_every_container_has_as_few_rights_as_it_can(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert "privileged" not in service
    assert service.get("image", "").rpartition(":")[2] not in ("", "latest")


@pytest.mark.parametrize("name", SERVICES)
def test_every_port_is_open_to_this_machine_only(name: str) -> None:
    assert all(port.startswith("127.0.0.1:") for port in SERVICES[name]["ports"])


def test_the_service_is_published_on_the_port_it_listens_on() -> None:
    (port,) = SERVICES["service"]["ports"]
    assert port.rpartition(":")[2] == shipped.environment()["SERVE_PORT"]


def mounts() -> dict[str, dict[str, Any]]:
    found = {mount["target"]: mount for mount in SERVICES["service"]["volumes"]}
    return {target.removeprefix("/app/var/"): mount for target, mount in found.items()}


def test_the_service_sees_the_folders_it_needs_of_var_and_no_registry() -> None:
    assert shipped.environment()["VAR_DIR"] == "/app/var"
    assert set(mounts()) == {"bundles", "monitoring", "predictions", "feedback"}
    for name, mount in mounts().items():
        assert mount["source"] == f"../{paths.VAR.name}/{name}"
        assert mount["bind"] == {"create_host_path": False}


def test_the_service_writes_to_its_logs_only() -> None:
    written = {name for name, mount in mounts().items() if not mount.get("read_only")}
    assert written == {"predictions", "feedback"}
    assert SERVICES["service"]["tmpfs"]


def test_every_file_mounted_from_here_exists() -> None:
    for service in SERVICES.values():
        for mount in service["volumes"]:
            if isinstance(mount, str) and mount.startswith("./"):
                assert (shipped.DEPLOY / mount.partition(":")[0]).is_dir(), mount


def test_no_password_is_written_down() -> None:
    text = (shipped.DEPLOY / "compose.yaml").read_text(encoding="utf-8")
    assert re.findall(r"_PASSWORD: (.*)", text) == ['"${GRAFANA_PASSWORD:?set it in deploy/.env}"']
    assert SERVICES["service"]["environment"] == ["SERVE_WORKERS", "SERVE_API_KEY"]


def test_prometheus_sends_the_api_key_it_is_given() -> None:
    (job,) = shipped.document(shipped.PROMETHEUS / "prometheus.yml")["scrape_configs"]
    (secret,) = SERVICES["prometheus"]["secrets"]
    assert job["authorization"] == {"credentials_file": f"/run/secrets/{secret}"}
    given = shipped.document(shipped.DEPLOY / "compose.yaml")["secrets"][secret]["file"]
    (default,) = re.findall(r"^\$\{SERVE_API_KEY_FILE:-(.+)\}$", given)
    assert (shipped.DEPLOY / default).read_text(encoding="utf-8").strip()
