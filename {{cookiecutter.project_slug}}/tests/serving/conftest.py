from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from {{ cookiecutter.__package }}.serving.answer import Limits
from {{ cookiecutter.__package }}.serving.app import create_app

LIMITS = Limits(max_body_bytes=20_000, max_rows=50, poll_seconds=0.005)


@pytest.fixture
def client(released: Path) -> Iterator[TestClient]:
    """The service of the released project; what raises within it raises here."""
    app = create_app(released / "var/bundles", released / "var/predictions", LIMITS)
    with TestClient(app) as started:
        yield started
