"""The service's figures: they count for the whole process, so tests look at what is added."""

from collections.abc import Callable

from prometheus_client import REGISTRY

from {{ cookiecutter.__package }}.serving.metrics import TALLY


def figure(name: str, **labels: str) -> float:
    """A figure as it is now, 0 before it is first counted."""
    TALLY.tell()
    return REGISTRY.get_sample_value(name, labels) or 0.0


def counted(name: str, **labels: str) -> Callable[[], float]:
    """Call it for what has been added since."""
    before = figure(name, **labels)
    return lambda: figure(name, **labels) - before
