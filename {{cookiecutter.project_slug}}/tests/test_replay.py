import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import uvicorn

from {{ cookiecutter.__package }} import paths, replay
from {{ cookiecutter.__package }}.cli import Refusal
from {{ cookiecutter.__package }}.monitoring.traffic import Traffic
from {{ cookiecutter.__package }}.serving.app import create_app

from . import customers
from .monitoring import traffic
from .serving.conftest import LIMITS


@pytest.fixture
def port(released: Path) -> Iterator[int]:
    """Where the service of the released project listens."""
    app = create_app(paths.VAR, LIMITS)
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="error"))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        thread.join(0.01)
        assert thread.is_alive()
    yield server.servers[0].sockets[0].getsockname()[1]
    server.should_exit = True
    thread.join()


def test_a_partition_becomes_traffic_whose_labels_can_be_joined(
    port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replay, "BATCH", LIMITS.max_rows)
    assert replay.replay("2024-04", "127.0.0.1", port) == {1: customers.ROWS}
    seen = Traffic(traffic.model(), 1)
    assert seen.count() == customers.ROWS
    assert len(seen.labelled()) == customers.frame("2024-04")["churned"].notna().sum()


def test_a_partition_the_source_does_not_offer_is_refused(released: Path) -> None:
    with pytest.raises(Refusal, match="'2031-01' is not offered by the source: 2024-01"):
        replay.replay("2031-01", "127.0.0.1", 1)


def test_without_a_service_it_says_how_to_start_one(released: Path) -> None:
    with pytest.raises(Refusal, match="run `make serve`"):
        replay.replay("2024-05", "127.0.0.1", 1)
