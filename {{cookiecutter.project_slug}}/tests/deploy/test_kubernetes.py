"""The manifests: one file each, rights taken away, and names that fit each other and the image."""

from typing import Any

import pytest

from {{ cookiecutter.__package }}.serving.front import OPEN

from . import shipped

(CONTAINER,) = shipped.pod()["containers"]


def test_every_manifest_is_listed() -> None:
    listed = shipped.manifest("Kustomization")["resources"]
    assert listed == [path.name for path in shipped.MANIFESTS if path.stem != "kustomization"]


def test_a_pod_has_as_few_rights_as_it_can() -> None:
    pod = shipped.pod()
    user, group = map(int, shipped.values("USER")[0].split(":"))
    context = pod["securityContext"]
    assert context["runAsNonRoot"] is True
    assert (context["runAsUser"], context["runAsGroup"], context["fsGroup"]) == (user, group, group)
    assert context["seccompProfile"] == {"type": "RuntimeDefault"}
    assert pod["automountServiceAccountToken"] is False
    assert CONTAINER["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }


def test_the_environment_of_a_pod_holds_no_variable_named_after_a_service() -> None:
    # A Service named `serve` would otherwise set SERVE_PORT to `tcp://...`.
    assert shipped.pod()["enableServiceLinks"] is False


def test_the_api_key_comes_from_a_secret_that_may_be_missing() -> None:
    (variable,) = CONTAINER["env"]
    assert variable["name"] == "SERVE_API_KEY"
    assert variable["valueFrom"]["secretKeyRef"]["optional"] is True


@pytest.mark.parametrize(
    ("probe", "path"),
    [
        ("startupProbe", "/health/live"),
        ("livenessProbe", "/health/live"),
        ("readinessProbe", "/health/ready"),
    ],
)
def test_probes_ask_what_needs_no_api_key(probe: str, path: str) -> None:
    assert CONTAINER[probe]["httpGet"] == {"path": path, "port": "http"}
    assert path in OPEN


def test_the_named_port_is_the_images() -> None:
    (port,) = CONTAINER["ports"]
    assert port == {"name": "http", "containerPort": int(shipped.environment()["SERVE_PORT"])}
    assert shipped.manifest("Service")["spec"]["ports"][0]["targetPort"] == "http"
    (way_in,) = shipped.manifest("NetworkPolicy")["spec"]["ingress"]
    assert way_in == {"ports": [{"port": "http"}]}


def test_everything_selects_the_pods_of_the_deployment() -> None:
    template = shipped.manifest("Deployment")["spec"]["template"]["metadata"]
    selectors: list[dict[str, Any]] = [
        shipped.manifest("Deployment")["spec"]["selector"]["matchLabels"],
        shipped.manifest("Service")["spec"]["selector"],
        shipped.manifest("PodDisruptionBudget")["spec"]["selector"]["matchLabels"],
        shipped.manifest("NetworkPolicy")["spec"]["podSelector"]["matchLabels"],
    ]
    assert all(selector == template["labels"] for selector in selectors)
    target = shipped.manifest("HorizontalPodAutoscaler")["spec"]["scaleTargetRef"]
    assert target["name"] == shipped.manifest("Deployment")["metadata"]["name"]


def test_the_autoscaler_alone_says_how_many_pods_there_are() -> None:
    assert "replicas" not in shipped.manifest("Deployment")["spec"]
    assert "cpu" in CONTAINER["resources"]["requests"]  # what its percentage is of


def test_a_pod_sees_the_folders_that_a_container_of_compose_sees() -> None:
    claimed = {
        mount["mountPath"]: mount.get("readOnly", False)
        for mount in CONTAINER["volumeMounts"]
        if mount["name"] == "var"
    }
    mounted = {
        mount["target"]: mount.get("read_only", False)
        for mount in shipped.compose()["service"]["volumes"]
    }
    assert claimed == mounted
    for mount in CONTAINER["volumeMounts"]:
        if mount["name"] == "var":
            assert mount["mountPath"] == f"/app/var/{mount['subPath']}"
