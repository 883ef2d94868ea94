"""Whatever stops a container waits until the requests in flight are answered."""

from ..project import ROOT
from . import shipped

SETTINGS = shipped.document(ROOT / "conf/serving/default.yaml")


def test_a_pod_leaves_the_endpoints_and_then_has_the_time_of_the_longest_request() -> None:
    (container,) = shipped.pod()["containers"]
    leaving = container["lifecycle"]["preStop"]["sleep"]["seconds"]
    patience = shipped.pod()["terminationGracePeriodSeconds"]
    assert patience > leaving + SETTINGS["request_seconds"]


def test_compose_has_the_time_of_the_longest_request() -> None:
    patience = shipped.compose()["service"]["stop_grace_period"]
    assert int(patience.removesuffix("s")) > SETTINGS["request_seconds"]
