"""The crew of a cluster against a made-up Ray, which does a job when a test says so."""

import os
import socket
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest

from {{ cookiecutter.__package }}.cli import Refusal
from {{ cookiecutter.__package }}.sweep import ray_crew
from {{ cookiecutter.__package }}.sweep.score import Job, Score


class RayError(Exception):
    """The root of Ray's own errors."""


class Lost(RayError):
    """A machine has gone, and Ray has given up."""


@dataclass(eq=False)
class Ref:
    """Something that Ray keeps; `made` makes it, or raises."""

    made: Callable[[], Any]

    def hex(self) -> str:
        return f"{id(self):x}"


@dataclass
class MadeUp:
    """The functions of the module `ray` that the crew calls."""

    machines: list[tuple[float, bool]] = field(default_factory=lambda: [(2.0, True), (2.0, True)])
    trouble: Exception | None = None
    ready: list[Ref] = field(default_factory=list)
    begun: list[Ref] = field(default_factory=list)
    fetched: int = 0
    options: dict[str, Any] = field(default_factory=dict)
    exceptions: Any = field(default_factory=lambda: SimpleNamespace(RayError=RayError))

    def init(self, **settings: Any) -> None:
        if self.trouble:
            raise self.trouble
        self.options |= settings

    def nodes(self) -> list[dict[str, Any]]:
        return [{"Alive": alive, "Resources": {"CPU": cores}} for cores, alive in self.machines]

    def put(self, value: Any) -> Ref:
        return Ref(lambda: value)

    def get(self, ref: Ref) -> Any:
        self.fetched += 1
        return ref.made()

    def remote(self, **options: Any) -> Callable[[Callable[..., Any]], Any]:
        self.options |= options

        def task(function: Callable[..., Any]) -> Any:
            def begin(*arguments: Any) -> Ref:
                self.begun.append(Ref(lambda: function(*arguments)))
                return self.begun[-1]

            return SimpleNamespace(remote=begin)

        return task

    def wait(self, refs: list[Ref], timeout: float) -> tuple[list[Ref], list[Ref]]:
        ready = [ref for ref in refs if ref in self.ready]
        return ready, [ref for ref in refs if ref not in ready]

    def shutdown(self) -> None:
        self.options.clear()


@dataclass
class Telling:
    """Scores by the fold; `threads` as the one of the rows has it."""

    threads: int = 1

    def score(self, job: Job) -> Score:
        return Score(job.trial, job.fold, [float(job.fold)])


@pytest.fixture
def ray(monkeypatch: pytest.MonkeyPatch) -> Iterator[MadeUp]:
    made = MadeUp()
    monkeypatch.setitem(sys.modules, "ray", made)
    monkeypatch.setattr(os, "environ", os.environ.copy())  # the crew sets what Ray reads there
    with socket.create_server(("127.0.0.1", 0)) as listening:
        monkeypatch.setenv("RAY_ADDRESS", f"127.0.0.1:{listening.getsockname()[1]}")
        yield made


def crew(most: int | None = None, threads: int = 1) -> ray_crew.Cluster:
    scorer: Any = Telling(threads)
    return ray_crew.Cluster(scorer, most)


def test_without_ray_one_sentence_says_what_to_add(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)  # as if it was not installed
    with pytest.raises(Refusal, match=r"LOCKS \+= locks/cluster.txt"):
        crew()


@pytest.mark.parametrize("kind", [ConnectionError, RuntimeError, ValueError])
def test_without_a_cluster_one_sentence_says_where_it_was_looked_for(
    kind: type[Exception], ray: MadeUp
) -> None:
    ray.trouble = kind("nobody\nanswers")
    with pytest.raises(Refusal) as refused:
        crew()
    where = os.environ["RAY_ADDRESS"]
    assert str(refused.value) == f"no Ray cluster at RAY_ADDRESS {where}: nobody answers"


@pytest.mark.parametrize(
    ("address", "said"),
    [("127.0.0.1:9", "refused"), ("127.0.0.1:redis", "invalid")],
)
def test_where_nobody_listens_ray_is_not_asked(
    address: str, said: str, ray: MadeUp, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_ADDRESS", address)
    with pytest.raises(Refusal, match=rf"RAY_ADDRESS {address}: .*{said}"):
        crew()
    assert not ray.options


def test_without_an_address_no_cluster_of_ones_own_is_begun(
    ray: MadeUp, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("RAY_ADDRESS")
    crew()
    assert ray.options["address"] == "auto"  # None would begin one
    ray.trouble = ConnectionError("no running one is found")
    with pytest.raises(Refusal, match=r"RAY_ADDRESS \(not set\): no running one is found"):
        crew()


def test_each_job_gets_its_own_score_in_whatever_order_they_come(ray: MadeUp) -> None:
    cluster = crew()
    for trial, fold in ((7, 0), (8, 3), (9, 1)):
        cluster.start(Job(trial, {}, fold))
    assert cluster.done(0) == []
    ray.ready = [ray.begun[1]]
    assert cluster.done(0) == [Score(8, 3, [3.0])]
    ray.ready = ray.begun
    assert cluster.done(0) == [Score(7, 0, [0.0]), Score(9, 1, [1.0])]
    assert cluster.done(0) == []


def test_a_process_fetches_the_rows_once(ray: MadeUp) -> None:
    cluster = crew()
    for fold in range(3):
        cluster.start(Job(0, {}, fold))
    ray.ready = ray.begun
    assert len(cluster.done(0)) == 3
    assert ray.fetched == 3 + 1


def test_what_ray_gives_up_on_is_a_failed_score_and_the_others_count(ray: MadeUp) -> None:
    cluster = crew()
    for trial in (0, 1):
        cluster.start(Job(trial, {}, 2))

    def lost() -> Score:
        raise Lost("The machine has died.\nIts address was 10.20.0.7.")

    ray.begun[0].made = lost
    ray.ready = ray.begun
    failed, other = cluster.done(0)
    assert (failed.trial, failed.fold, failed.values) == (0, 2, [])
    assert failed.error == "Lost: The machine has died."
    assert failed.traceback.endswith("10.20.0.7.")
    assert other == Score(1, 2, [2.0])
    assert cluster.free() == 4


def test_a_lost_machine_is_no_reason_to_fail_at_once(ray: MadeUp) -> None:
    crew(threads=2)
    assert ray.options["max_retries"] == 3
    assert ray.options["num_cpus"] == 2


def test_as_much_is_at_work_as_the_machines_of_now_have_cores_for(ray: MadeUp) -> None:
    cluster = crew()
    assert cluster.free() == 4
    for trial in range(3):
        cluster.start(Job(trial, {}, 0))
    assert cluster.free() == 1
    ray.machines.append((8.0, True))
    assert cluster.free() == 9
    ray.machines = [(2.0, True), (2.0, False)]
    assert cluster.free() == 0  # and no less, though three are under way


def test_a_fit_with_several_threads_needs_its_cores_on_one_machine(ray: MadeUp) -> None:
    ray.machines = [(4.0, True), (3.0, True), (1.0, True)]
    assert crew(threads=2).free() == 3
    ray.machines = [(0.0, True)]  # until a machine with cores comes, one job waits for it
    assert crew(threads=2).free() == 1


def test_the_setting_bounds_what_is_at_work(ray: MadeUp) -> None:
    cluster = crew(most=2)
    assert cluster.free() == 2
    cluster.start(Job(0, {}, 0))
    assert cluster.free() == 1


def test_at_the_end_it_leaves_the_cluster(ray: MadeUp) -> None:
    cluster = crew()
    assert ray.options
    cluster.close()
    assert not ray.options
