import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from fastapi.testclient import TestClient

from {{ cookiecutter.__package }}.config import Serving
from {{ cookiecutter.__package }}.serving.app import create_app
from {{ cookiecutter.__package }}.serving.front import Front

from .wire import Wire, connected

LIMITS = Serving(
    max_body_bytes=20_000,
    max_rows=50,
    max_concurrent=8,
    request_seconds=10,
    poll_seconds=0.005,
    log_max_bytes=1_000_000,
    on_log_failure="fail_closed",
)


@pytest.fixture
def var(built_released: Path, tmp_path: Path) -> Path:
    """The state of a released project: its bundles."""
    shutil.copytree(built_released / "var/bundles", tmp_path / "var/bundles")
    return tmp_path / "var"


@pytest.fixture
def serve(var: Path) -> Callable[..., Front]:
    """Call it for the service with other limits than `LIMITS`, its model loaded."""

    def made(key: str = "", **limits: Any) -> Front:
        front = create_app(var, msgspec.structs.replace(LIMITS, **limits), key)
        front.service.champion.refresh()
        return front

    return made


@pytest.fixture
def front(serve: Callable[..., Front]) -> Front:
    """The service, its model loaded, and nobody watching it."""
    return serve()


@pytest.fixture
def wire(front: Front) -> Iterator[Wire]:
    """A connection to the service through the lane."""
    with connected(front) as opened:
        yield opened


@pytest.fixture
def client(front: Front) -> Iterator[TestClient]:
    """A client of the running service."""
    with TestClient(front) as started:
        yield started


def logged(var: Path, name: str = "predictions") -> list[dict[str, Any]]:
    """The lines of a log, file by file."""
    found = sorted((var / name).glob("*.jsonl"))
    return [json.loads(line) for path in found for line in path.read_text("utf-8").splitlines()]
