"""The compose files and the balancer's configuration: accepted by the tools that read them, and true to the server."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from service.operations.metrics import Metrics
from service.settings import PREFIX, Settings

ROOT = Path(__file__).parent.parent
BALANCER = ROOT / "docker" / "balancer" / "haproxy.cfg"

COMBINATIONS = {
    "alone": ("docker-compose.yml",),
    "alone, GPU": ("docker-compose.yml", "docker/compose.gpu.yml"),
    "scaled": ("docker/compose.scale.yml",),
    "scaled, GPU": ("docker/compose.scale.yml", "docker/compose.gpu.yml"),
}


@cache
def compose_command() -> tuple[str, ...]:
    """Compose v2 or v1, whichever is here; skips where neither is."""
    for command in (("docker", "compose"), ("docker-compose",)):
        if shutil.which(command[0]) and not subprocess.run([*command, "version"], capture_output=True).returncode:
            return command
    pytest.skip("there is no docker compose here")


@cache
def resolved(files: tuple[str, ...], **environment: str) -> dict[str, Any]:
    """The configuration that compose makes of the files. Tests share it and must not change it."""
    command = [*compose_command(), *(part for name in files for part in ("-f", name)), "config"]
    clean = {name: value for name, value in os.environ.items() if name not in ("PORT", "THREADS", "REDIS_MEMORY")}
    result = subprocess.run(command, cwd=ROOT, env=clean | environment, capture_output=True, text=True, timeout=60)
    assert result.returncode == 0, result.stderr
    config: dict[str, Any] = yaml.safe_load(result.stdout)
    return config


def seconds(duration: str) -> float:
    """`15s` or `1m30s` in seconds."""
    minutes, rest = re.fullmatch(r"(?:(\d+)m)?(?:(\d+)s)?", duration).groups()  # type: ignore[union-attr]
    return 60.0 * int(minutes or 0) + int(rest or 0)


def published(config: dict[str, Any]) -> dict[str, list[int]]:
    """The host's ports by service. Those of a profile do not count: compose v1 lists them unasked, v2 does not."""
    services: dict[str, Any] = config["services"]
    return {
        name: [int(port["published"]) for port in each["ports"]]
        for name, each in services.items()
        if "ports" in each and "profiles" not in each
    }


@pytest.mark.parametrize("files", COMBINATIONS.values(), ids=COMBINATIONS)
def test_compose_accepts_every_combination_of_files(files: tuple[str, ...]) -> None:
    tracker = resolved(files)["services"]["tracker"]
    gpu = "docker/compose.gpu.yml" in files
    assert tracker["image"] == ("siamfc-service:cuda" if gpu else "siamfc-service:cpu")
    assert tracker["build"]["args"]["TORCH"] == ("cuda" if gpu else "cpu")
    assert Path(tracker["build"]["context"]) == ROOT
    assert seconds(tracker["stop_grace_period"]) > Settings.model_fields["drain_s"].default + 2
    devices = tracker.get("deploy", {}).get("resources", {}).get("reservations", {}).get("devices", [])
    assert [device["driver"] for device in devices] == (["nvidia"] if gpu else [])


@pytest.mark.parametrize("files", COMBINATIONS.values(), ids=COMBINATIONS)
def test_every_container_is_confined(files: tuple[str, ...]) -> None:
    for name, each in resolved(files)["services"].items():
        assert each["read_only"] is True, name
        assert each["cap_drop"] == ["ALL"], name
        assert each["security_opt"] == ["no-new-privileges:true"], name
        assert not each.get("privileged"), name


@pytest.mark.parametrize("files", COMBINATIONS.values(), ids=COMBINATIONS)
def test_compose_sets_only_settings_that_exist_and_would_be_accepted(
    files: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    environment = resolved(files)["services"]["tracker"]["environment"]
    ours = {name.removeprefix(PREFIX).lower(): value for name, value in environment.items() if name.startswith(PREFIX)}
    assert ours
    for name in list(os.environ):
        if name.startswith(PREFIX):
            monkeypatch.delenv(name)
    Settings(**ours)


@pytest.mark.parametrize(
    ("files", "publishing"),
    [
        pytest.param(COMBINATIONS["alone"], "tracker", id="alone"),
        pytest.param(COMBINATIONS["scaled"], "balancer", id="scaled"),
    ],
)
def test_one_service_publishes_the_one_port(files: tuple[str, ...], publishing: str) -> None:
    assert published(resolved(files)) == {publishing: [8000]}


def test_the_published_port_can_be_chosen() -> None:
    assert published(resolved(COMBINATIONS["scaled"], PORT="9000")) == {"balancer": [9000]}


def test_only_the_trackers_reach_redis() -> None:
    config = resolved(COMBINATIONS["scaled"])
    on_store = {name for name, each in config["services"].items() if "store" in each["networks"]}
    assert on_store == {"tracker", "redis"}
    assert config["networks"]["store"]["internal"] is True


def test_the_image_installs_what_every_store_and_runtime_needs() -> None:
    dockerfile = (ROOT / "docker" / "Dockerfile").read_text(encoding="utf-8")
    assert "'.[server,openvino,redis]'" in dockerfile


def test_haproxy_accepts_the_balancers_configuration() -> None:
    haproxy = shutil.which("haproxy") or shutil.which("haproxy", path="/usr/sbin")
    if haproxy is None:
        pytest.skip("there is no haproxy here")
    result = subprocess.run([haproxy, "-c", "-f", str(BALANCER)], capture_output=True, text=True, timeout=30)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "WARNING" not in result.stdout + result.stderr


@pytest.mark.parametrize("script", sorted((ROOT / "docker").glob("*.sh")), ids=lambda path: path.name)
def test_scripts_parse(script: Path) -> None:
    shell = "bash" if script.read_text(encoding="utf-8").startswith("#!/usr/bin/env bash") else "sh"
    result = subprocess.run([shell, "-n", str(script)], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert os.access(script, os.X_OK)


def test_verify_refuses_half_a_target(tmp_path: Path) -> None:
    if not shutil.which("docker") or subprocess.run(["docker", "info"], capture_output=True).returncode:
        pytest.skip("there is no Docker engine here")
    command = ["docker/verify.sh", str(tmp_path)]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=30)
    assert result.returncode == 2
    assert "usage" in result.stderr


def exported() -> dict[str, set[str]]:
    """The server's metrics by the name of their samples, and the names of their labels, with one sample each."""
    metrics = Metrics()
    metrics.watch("siamfc_ready", "", lambda: 1.0)
    metrics.watch("siamfc_store_up", "", lambda: 1.0)
    metrics.frame("error")
    metrics.stages({"total": 0.1, "queue": 0.1})
    metrics.refused("at-capacity")
    metrics.store("commit", 0.001)
    samples = re.findall(r"^(\w+)(?:\{(.*)\})? ", metrics.render().decode(), re.MULTILINE)
    found: dict[str, set[str]] = {}
    for name, labels in samples:
        found.setdefault(name, set()).update(re.findall(r'(\w+="[^"]*")', labels))
    return found


def test_alerts_ask_for_metrics_that_there_are() -> None:
    rules = yaml.safe_load((ROOT / "docker" / "prometheus" / "alerts.yml").read_text(encoding="utf-8"))
    known, seen = exported(), set()
    for rule in rules["groups"][0]["rules"]:
        assert set(rule) == {"alert", "expr", "for", "labels", "annotations"}
        for name, labels in re.findall(r"\b(siamfc_\w+)(?:\{(.*?)\})?", rule["expr"]):
            assert name in known, rule["alert"]
            assert set(re.findall(r'(\w+="[^"]*")', labels)) <= known[name], rule["alert"]
            seen.add(name)
    assert len(seen) > 5


def test_every_alert_is_explained() -> None:
    rules = yaml.safe_load((ROOT / "docker" / "prometheus" / "alerts.yml").read_text(encoding="utf-8"))
    page = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    assert not [rule["alert"] for rule in rules["groups"][0]["rules"] if f"`{rule['alert']}`" not in page]


def test_promtool_accepts_the_alerts() -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("there is no promtool here")
    command = [promtool, "check", "rules", str(ROOT / "docker" / "prometheus" / "alerts.yml")]
    result = subprocess.run(command, capture_output=True, text=True, timeout=30)
    assert result.returncode == 0, result.stdout + result.stderr
