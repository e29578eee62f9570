"""The Kubernetes manifests: each object against the published schemas, and what only our server can say is wrong.

The overlays are built by kustomize where `kustomize` or `kubectl` is installed; without it only the plain manifests
are checked, not what the patches make of them. No cluster has a say here.
"""

from __future__ import annotations

import copy
import shutil
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from service.settings import PREFIX, Settings

FOLDER = Path(__file__).parent.parent / "docker" / "kubernetes"
OVERLAYS = ("base", "scaled", "gpu", "scaled-gpu")
VERSIONS = ("1.30", "1.37")
"""The oldest and the newest Kubernetes whose schemas the manifests must meet."""
MANIFESTS = sorted(
    path for path in FOLDER.rglob("*.yaml") if path.name != "kustomization.yaml" and ".patch." not in path.name
)

PODS_OF = ("Deployment", "StatefulSet")

Manifest = dict[str, Any]


def read(text: str) -> list[Manifest]:
    return [each for each in yaml.safe_load_all(text) if each]


@cache
def kustomize() -> tuple[str, ...]:
    """The command that builds an overlay; skips where there is none."""
    for command in (("kustomize", "build"), ("kubectl", "kustomize")):
        if shutil.which(command[0]):
            return command
    pytest.skip("neither kustomize nor kubectl is here")


@cache
def _built(folder: Path) -> str:
    result = subprocess.run([*kustomize(), str(folder)], capture_output=True, text=True, timeout=60)
    assert result.returncode == 0, result.stderr
    assert "deprecated" not in result.stderr
    return result.stdout


def built(overlay: str) -> dict[tuple[str, str], Manifest]:
    """An overlay's objects by kind and name."""
    objects = read(_built(FOLDER / overlay))
    named = {(each["kind"], each["metadata"]["name"]): each for each in objects}
    assert len(named) == len(objects)
    return named


def pod(overlay: str, kind: str = "Deployment", name: str = "siamfc-tracker") -> Manifest:
    spec: Manifest = built(overlay)[kind, name]["spec"]["template"]["spec"]
    return spec


def tracker(overlay: str) -> Manifest:
    """The tracker's container."""
    container: Manifest = pod(overlay)["containers"][0]
    return container


def environment(overlay: str) -> dict[str, Manifest]:
    return {each["name"]: each for each in tracker(overlay)["env"]}


def conforms(manifest: Manifest, version: str) -> None:
    """Raises kubernetes_validate.ValidationError, also for a field that the schema does not know."""
    kubernetes_validate.validate(copy.deepcopy(manifest), version, strict=True)


@pytest.mark.parametrize("path", MANIFESTS, ids=lambda path: str(path.relative_to(FOLDER)))
def test_every_manifest_meets_its_schema_before_any_patch(path: Path) -> None:
    for manifest in read(path.read_text(encoding="utf-8")):
        conforms(manifest, VERSIONS[-1])


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("overlay", OVERLAYS)
def test_every_overlay_meets_its_schemas(overlay: str, version: str) -> None:
    for manifest in built(overlay).values():
        conforms(manifest, version)


@pytest.mark.parametrize(
    "breaks",
    [
        pytest.param(lambda spec: spec.update(replica=2), id="a misspelt field"),
        pytest.param(lambda spec: spec.update(replicas="two"), id="a wrong type"),
        pytest.param(lambda spec: spec.pop("selector"), id="a missing field"),
        pytest.param(
            lambda spec: spec["template"]["spec"]["containers"][0]["readinessProbe"].update(path="/readyz"),
            id="a field in the wrong place",
        ),
    ],
)
def test_the_schemas_would_notice(breaks: Any) -> None:
    manifest = read((FOLDER / "base" / "tracker.yaml").read_text(encoding="utf-8"))[0]
    breaks(manifest["spec"])
    with pytest.raises(kubernetes_validate.ValidationError):
        conforms(manifest, VERSIONS[-1])


@pytest.mark.parametrize(
    ("overlay", "kinds"),
    [
        pytest.param("base", {"Deployment", "Service"}, id="base"),
        pytest.param("gpu", {"Deployment", "Service"}, id="gpu"),
        *(
            pytest.param(
                overlay,
                {
                    "Deployment",
                    "Service",
                    "StatefulSet",
                    "HorizontalPodAutoscaler",
                    "PodDisruptionBudget",
                    "NetworkPolicy",
                },
                id=overlay,
            )
            for overlay in ("scaled", "scaled-gpu")
        ),
    ],
)
def test_an_overlay_holds_what_it_is_for(overlay: str, kinds: set[str]) -> None:
    assert {kind for kind, _ in built(overlay)} == kinds


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_the_tracker_is_given_only_settings_that_exist(overlay: str) -> None:
    names = {name.removeprefix(PREFIX).lower() for name in environment(overlay)}
    assert names <= set(Settings.model_fields)
    fixed = {
        name.removeprefix(PREFIX).lower(): each["value"]
        for name, each in environment(overlay).items()
        if "value" in each
    }
    Settings(**fixed)
    # A Service called siamfc would otherwise bring SIAMFC_PORT=tcp://… along.
    assert pod(overlay)["enableServiceLinks"] is False


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_there_is_time_to_drain(overlay: str) -> None:
    delay = int(tracker(overlay)["lifecycle"]["preStop"]["exec"]["command"][-1])
    drain = Settings.model_fields["drain_s"].default
    assert pod(overlay)["terminationGracePeriodSeconds"] > delay + drain + 2
    # It must be out of the endpoints before it drains.
    readiness = tracker(overlay)["readinessProbe"]
    assert delay >= readiness["periodSeconds"]


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_the_probes_ask_what_the_server_answers(overlay: str) -> None:
    container = tracker(overlay)
    asked = {name: container[f"{name}Probe"]["httpGet"]["path"] for name in ("startup", "readiness", "liveness")}
    assert asked == {"startup": "/readyz", "readiness": "/readyz", "liveness": "/healthz"}
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    assert ports == {"http": Settings.model_fields["port"].default}


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_every_container_is_confined_and_bounded(overlay: str) -> None:
    for template in templates(overlay):
        assert template["securityContext"]["runAsNonRoot"] is True
        assert template["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert template["automountServiceAccountToken"] is False
        for container in template["containers"]:
            confined = container["securityContext"]
            assert confined["readOnlyRootFilesystem"] is True
            assert confined["allowPrivilegeEscalation"] is False
            assert confined["capabilities"] == {"drop": ["ALL"]}
            assert {"cpu", "memory"} <= set(container["resources"]["requests"])
            assert "memory" in container["resources"]["limits"]


def templates(overlay: str) -> Iterator[Manifest]:
    for (kind, _), each in built(overlay).items():
        if kind in PODS_OF:
            yield each["spec"]["template"]["spec"]


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_selectors_find_their_pods(overlay: str) -> None:
    objects = built(overlay)
    pods = [each["spec"]["template"]["metadata"]["labels"] for (kind, _), each in objects.items() if kind in PODS_OF]
    for (kind, name), each in objects.items():
        if kind in ("Service", "PodDisruptionBudget", "NetworkPolicy"):
            spec = each["spec"]
            wanted = spec.get("podSelector", spec.get("selector", {}))
            wanted = wanted.get("matchLabels", wanted)
            assert sum(wanted.items() <= labels.items() for labels in pods) == 1, (kind, name)


@pytest.mark.parametrize("overlay", ["base", "gpu"])
def test_sessions_in_memory_mean_one_tracker(overlay: str) -> None:
    spec = built(overlay)["Deployment", "siamfc-tracker"]["spec"]
    assert PREFIX + "STORE" not in environment(overlay)
    assert spec["replicas"] == 1
    assert spec["strategy"] == {"type": "Recreate"}


@pytest.mark.parametrize("overlay", ["scaled", "scaled-gpu"])
def test_scaled_trackers_share_a_store_that_is_there(overlay: str) -> None:
    objects = built(overlay)
    store = environment(overlay)[PREFIX + "STORE"]["value"]
    host, _, port = store.removeprefix("redis://").removesuffix("/0").partition(":")
    service = objects["Service", host]["spec"]
    assert [each["port"] for each in service["ports"]] == [int(port)]
    spec = objects["Deployment", "siamfc-tracker"]["spec"]
    # The autoscaler's to say; two at least, so that one may go.
    assert "replicas" not in spec
    autoscaler = objects["HorizontalPodAutoscaler", "siamfc-tracker"]["spec"]
    assert autoscaler["minReplicas"] >= 2
    assert autoscaler["scaleTargetRef"]["name"] == "siamfc-tracker"
    assert "noeviction" in pod(overlay, "StatefulSet", "siamfc-redis")["containers"][0]["args"]


@pytest.mark.parametrize("overlay", ["gpu", "scaled-gpu"])
def test_a_gpu_overlay_asks_for_one_and_uses_it(overlay: str) -> None:
    assert tracker(overlay)["image"] == "siamfc-service:cuda"
    assert tracker(overlay)["resources"]["limits"]["nvidia.com/gpu"] == "1"
    assert environment(overlay)[PREFIX + "DEVICE"]["value"] == "cuda"


def test_the_ingress_shows_what_is_public_and_no_more(tmp_path: Path) -> None:
    relative = Path(*[".."] * (len(tmp_path.parts) - 1), *FOLDER.parts[1:])
    text = yaml.safe_dump({"resources": [str(relative / "base")], "components": [str(relative / "components/ingress")]})
    (tmp_path / "kustomization.yaml").write_text(text, encoding="utf-8")
    objects = {each["kind"]: each for each in read(_built(tmp_path))}
    conforms(objects["Ingress"], VERSIONS[-1])
    (rule,) = objects["Ingress"]["spec"]["rules"]
    served = {each["path"] for each in rule["http"]["paths"]}
    assert served == {"/", "/v1", "/web", "/docs", "/swagger-ui", "/openapi.json", "/asyncapi.yaml"}
    backends = {each["backend"]["service"]["name"] for each in rule["http"]["paths"]}
    assert backends == {objects["Service"]["metadata"]["name"]}
