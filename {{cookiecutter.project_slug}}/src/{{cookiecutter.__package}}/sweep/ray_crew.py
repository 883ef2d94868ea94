"""Who scores, on a cluster: a Ray task a job. Ray begins anew what a lost machine was at.

The rows go to each machine once, through Ray's own store; the machines need this package and the
environment of `locks/`, and neither the data nor the study's storage.
"""

import logging
import os
import socket
from typing import TYPE_CHECKING, Any

from ..cli import Refusal
from .score import Job, Score, Scorer

if TYPE_CHECKING:
    from ray import ObjectRef

ADDRESS = "RAY_ADDRESS"
PATIENCE = 5.0  # seconds to wait for a cluster's first machine
TRIES = 3  # machines that may be lost under one job
# By itself Ray sees a machine whose processes die at once, but one without power after 7 minutes
# only. Those that ask more often than once a minute are hung up on.
WATCH = {"time_ms": "70000", "timeout_ms": "30000"}
_scorers: dict[str, Scorer] = {}  # in a process of Ray's: what it has fetched


class Cluster:
    """As many jobs at once as the cluster has cores for, or `most`."""

    def __init__(self, scorer: Scorer, most: int | None) -> None:
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        for name, value in WATCH.items():
            os.environ.setdefault(f"RAY_grpc_client_keepalive_{name}", value)
        try:
            import ray
        except ModuleNotFoundError:
            raise Refusal(
                "sweep.launcher=ray needs Ray: add `LOCKS += locks/cluster.txt` to the Makefile"
            ) from None
        self._ray: Any = ray
        self._most, self._threads = most, scorer.threads
        address = os.environ.get(ADDRESS)
        try:
            _reach(address)
            # "auto" is a cluster that runs on this machine; without any, Ray would begin one.
            ray.init(address=address or "auto", logging_level=logging.ERROR, log_to_driver=False)
        except (OSError, RuntimeError, ValueError) as error:
            said = " ".join(str(error).split())[:200]
            raise Refusal(f"no Ray cluster at {ADDRESS} {address or '(not set)'}: {said}") from None
        self._task: Any = ray.remote(num_cpus=scorer.threads, max_retries=TRIES)(score)
        self._scorer = ray.put(scorer)
        self._jobs: dict[ObjectRef[Any], Job] = {}

    def free(self) -> int:
        """How many jobs can be taken on at once; machines come and go, with jobs under way."""
        room = max(1, self._room())
        return max(0, min(room, self._most or room) - len(self._jobs))

    def _room(self) -> int:
        """How many jobs the machines of now have cores for, none of them on two machines."""
        alive = [node["Resources"] for node in self._ray.nodes() if node["Alive"]]
        return sum(int(resources.get("CPU", 0)) // self._threads for resources in alive)

    def start(self, job: Job) -> None:
        """Hand the job to Ray."""
        # In a list, so that Ray does not fetch it anew for each task.
        self._jobs[self._task.remote([self._scorer], job)] = job

    def done(self, seconds: float) -> list[Score]:
        """What has become ready, waiting for it so long at most."""
        ready, _ = self._ray.wait(list(self._jobs), timeout=seconds) if self._jobs else ([], [])
        return [self._score(found) for found in ready]

    def _score(self, found: "ObjectRef[Any]") -> Score:
        job = self._jobs.pop(found)
        try:
            answer: Score = self._ray.get(found)
            return answer
        except self._ray.exceptions.RayError as error:
            said = f"{type(error).__name__}: {str(error).partition(chr(10))[0]}"
            return Score(job.trial, job.fold, [], said, str(error))

    def close(self) -> None:
        """Leave the cluster; what it still works on for us is given up."""
        self._ray.shutdown()


def _reach(address: str | None) -> None:
    """Raise where nobody listens: Ray tries for ten minutes, and does not hear Ctrl+C."""
    host, port_is_there, port = (address or "").rpartition(":")
    if port_is_there:
        socket.create_connection((host.strip("[]"), int(port)), PATIENCE).close()


def score(boxed: list["ObjectRef[Scorer]"], job: Job) -> Score:
    """A job, in a process of Ray's."""
    import ray

    key = boxed[0].hex()
    if key not in _scorers:
        _scorers.clear()
        _scorers[key] = ray.get(boxed[0])
    return _scorers[key].score(job)
