"""What Prometheus reads at /metrics, summed over all workers of the service.

With more than one, each keeps its figures in files below PROMETHEUS_MULTIPROC_DIR, so that any of
them can answer for all (the multiprocess mode of prometheus_client).
"""

import os
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

REQUESTS = Counter("http_requests", "Requests answered", ["endpoint", "status"])
DURATION = Histogram(
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
SWAPS = Counter("model_swaps", "Models taken into service")
SWAP_FAILURES = Counter("model_swap_failures", "Bundles refused")
LOG_FAILURES = Counter("prediction_log_failures", "Writes the prediction log did not take")


def exposition() -> bytes:
    """All figures in Prometheus' text format."""
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
