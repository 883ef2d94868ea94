"""`make load`: Locust's users ask the running service for real rows; see LOAD_USERS, LOAD_SECONDS.

The rows are those of the newest partition that has arrived, one a request.
"""

import json
import os
from itertools import cycle

import gevent

# First of all: it makes the standard library's sockets cooperative.
from locust import FastHttpUser, events, task
from locust.env import Environment
from locust.html import get_html_report
from locust.stats import stats_history

from . import address, config, files, paths, replay
from .cli import Refusal, run

ROWS = 1000
REPORT = paths.VAR / "load/report.html"


class Caller(FastHttpUser):
    """A user who asks for one row after another, without a pause."""

    bodies = cycle([""])

    @task
    def predict(self) -> None:
        """Ask for the next row."""
        self.client.post("/predict", data=next(self.bodies), headers=address.authorization())


def main() -> None:
    """Put load on SERVE_HOST and SERVE_PORT, print what was found and write Locust's report."""
    data = config.read("data", config.Data)
    newest = max(paths.RAW.glob("*.parquet"), default=None)
    if newest is None:
        raise Refusal("data/raw/ is empty: run `dvc repro` first")
    Caller.bodies = cycle([json.dumps(row) for row in replay.rows_of(newest, data)[:ROWS]])
    host, port = address.service()
    users, seconds = (int(os.environ.get(f"LOAD_{name}", "20")) for name in ("USERS", "SECONDS"))
    environment = Environment(user_classes=[Caller], events=events, host=f"http://{host}:{port}")
    runner = environment.create_local_runner()
    gevent.spawn(stats_history, runner)
    runner.start(users, spawn_rate=users)
    gevent.spawn_later(seconds, runner.quit)
    runner.greenlet.join()
    total = environment.stats.total
    files.write_text(REPORT, get_html_report(environment))  # type: ignore[no-untyped-call]
    print(
        f"{total.num_requests} requests by {users} users in {seconds} s, "
        f"{total.num_failures} failed; median {total.median_response_time:.0f} ms, 99th "
        f"percentile {total.get_response_time_percentile(0.99):.0f} ms"
    )
    print(f"report: {REPORT}")
    if total.num_failures or not total.num_requests:
        raise Refusal(f"not every request was answered by {host}:{port}; the report says why")


if __name__ == "__main__":
    run(main)
