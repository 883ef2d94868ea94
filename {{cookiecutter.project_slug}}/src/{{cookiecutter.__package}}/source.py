"""Where raw partitions come from: the seam between the project and the outside world."""

from importlib import import_module
from pathlib import Path
from typing import Protocol, cast

from .cli import Refusal


class Source(Protocol):
    """What a module named by `data.source` offers."""

    def offered(self) -> list[str]:
        """Names of the partitions that can be fetched now, oldest first."""
        ...

    def fetch(self, partitions: list[str], folder: Path) -> None:
        """Write `<folder>/<partition>.parquet` for each, the same bytes every time."""
        ...


def load(name: str) -> Source:
    """The source module of that name; `Refusal` when there is none."""
    try:
        return cast(Source, import_module(name))
    except (ImportError, ValueError) as error:
        raise Refusal(f"data.source in conf/data/: cannot import {name!r} ({error})") from None
