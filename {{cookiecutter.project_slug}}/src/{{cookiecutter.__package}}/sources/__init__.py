"""Where raw partitions come from: the seam between the project and the outside world."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from ..instantiate import instantiate


class Source(Protocol):
    """What a class named by `data.source` offers."""

    def offered(self) -> list[str]:
        """Names of the partitions that can be fetched now, oldest first."""
        ...

    def fetch(self, partitions: list[str], folder: Path) -> None:
        """Write `<folder>/<partition>.parquet` for each, the same bytes every time."""
        ...


def load(settings: Mapping[str, Any]) -> Source:
    """The source that conf/data/ describes; `Refusal` when it cannot be made."""
    source: Source = instantiate(settings, "conf/data/")
    return source
