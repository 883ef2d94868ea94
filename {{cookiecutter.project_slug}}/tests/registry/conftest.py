from collections.abc import Iterator
from pathlib import Path

import pytest
from matplotlib.figure import Figure

from {{ cookiecutter.__package }}.registry import tracking
from {{ cookiecutter.__package }}.registry.release import release

from .. import project
from . import shadows


@pytest.fixture(scope="session")
def built_shadowed(built_released: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The released project after a better model has begun to answer unseen."""
    folder = project.copied(built_released, tmp_path_factory.mktemp("shadowed") / "project")
    with project.inside(folder), pytest.MonkeyPatch.context() as patch:
        patch.setattr(tracking, "draw", lambda _: Figure(figsize=(1, 1)))
        shadows.configure()
        assert not release()
    return folder


@pytest.fixture
def shadowed(built_shadowed: Path, tmp_path: Path, quick: None) -> Iterator[Path]:
    """Inside a copy of it: version 1 is champion, version 2 the challenger."""
    with project.inside(project.copied(built_shadowed, tmp_path / "project")) as folder:
        yield folder
