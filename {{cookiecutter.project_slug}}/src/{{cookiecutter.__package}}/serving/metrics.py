"""What Prometheus reads at /metrics, summed over all workers of the service.

With more than one, each keeps its figures in files below PROMETHEUS_MULTIPROC_DIR, so that any of
them can answer for all (the multiprocess mode of prometheus_client).
"""

import collections
import os
from bisect import bisect_left
from collections.abc import Sequence
from pathlib import Path

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
    generate_latest,
    multiprocess,
)

disable_created_metrics()  # type: ignore[no-untyped-call]  # series that nobody reads
SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5)


class Durations(Histogram):
    """A histogram that is also told of many at once, at an eighth of the cost."""

    def observe_all(self, seconds: Sequence[float]) -> None:
        """As `observe` does with each, but every figure is written once."""
        buckets = collections.Counter(bisect_left(self._upper_bounds, one) for one in seconds)
        for bucket, count in buckets.items():
            self._buckets[bucket].inc(count)
        self._sum.inc(sum(seconds))


REQUESTS = Counter("http_requests", "Requests answered", ["endpoint", "status"])
DURATION = Durations(
    "http_request_duration_seconds",
    "From the request's head to the end of its answer",
    ["endpoint"],
    buckets=SECONDS,
)
IN_FLIGHT = Gauge("http_requests_in_flight", "Requests being answered", multiprocess_mode="livesum")
REFUSED = Counter("http_requests_refused", "Requests not answered, by the reason", ["reason"])
PREDICTIONS = Counter("predictions", "Rows answered", ["label"])
VERSION = Gauge("model_version", "Version of the model in service", multiprocess_mode="liveall")
CREATED = Gauge(
    "model_created_timestamp_seconds",
    "When the model in service was made",
    multiprocess_mode="livemin",
)
RETRAINED = Gauge(
    "retrain_last_success_timestamp_seconds",
    "When a retraining run last ended well, whatever its outcome; 0 is never",
    multiprocess_mode="livemax",
)
MONITORED = Gauge(
    "monitor_last_success_timestamp_seconds",
    "When the monitor last looked at the traffic; 0 is never",
    multiprocess_mode="livemax",
)
SWAPS = Counter("model_swaps", "Models taken into service")
SWAP_FAILURES = Counter("model_swap_failures", "Bundles refused")
LOG_FAILURES = Counter("prediction_log_failures", "Writes the prediction log did not take")


class Tally:
    """Single rows, counted in groups: told one by one they would cost a tenth of each answer.

    A worker that is killed takes at most `MOST` of them with it.
    """

    MOST = 64

    def __init__(self) -> None:
        self._requests = REQUESTS.labels("/predict", "200")
        self._duration = DURATION.labels("/predict")
        self._seconds: list[float] = []
        self._labels: list[object] = []
        self.labels = self._labels.extend  # of rows that have been answered

    def request(self, seconds: float) -> None:
        """Count a request of the short way."""
        self._seconds.append(seconds)
        if len(self._seconds) >= self.MOST:
            self.tell()

    def tell(self) -> None:
        """Hand over what has been counted; called regularly and before the figures are read."""
        self._requests.inc(len(self._seconds))
        self._duration.observe_all(self._seconds)
        for label, count in collections.Counter(self._labels).items():
            PREDICTIONS.labels(str(label)).inc(count)
        self._seconds.clear()
        self._labels.clear()


TALLY = Tally()


def exposition() -> bytes:
    """All figures in Prometheus' text format."""
    TALLY.tell()
    shared = os.environ.get("PROMETHEUS_MULTIPROC_DIR")
    if not shared:
        return generate_latest()
    for path in Path(shared).glob("gauge_live*.db"):
        try:
            os.kill(int(path.stem.rpartition("_")[2]), 0)
        except (ProcessLookupError, PermissionError):  # it died; what it has counted still counts
            path.unlink(missing_ok=True)
    registry = CollectorRegistry()
    multiprocess.MultiProcessCollector(registry, shared)  # type: ignore[no-untyped-call]
    return generate_latest(registry)
