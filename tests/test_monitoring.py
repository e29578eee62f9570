"""Prometheus and Grafana as the compose files set them up: true to the server, and accepted by Prometheus itself."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from siamfc import Client
from tests.integration import scene
from tests.support.server import free_port, running_server
from tests.test_deployment import ROOT, compose_command

DOCKER = ROOT / "docker"
COMPOSE = ("docker-compose.yml", "docker/compose.scale.yml")
DEADLINE_S = 60.0
EMPTY_IN_MEMORY = {"Refusals", "Session store"}
"""Panels without data where nothing was refused and sessions live in memory."""


@cache
def panels() -> dict[str, list[str]]:
    """The dashboard's queries by the title of their panel; two panels may have one title."""
    dashboard = json.loads((DOCKER / "grafana" / "dashboards" / "siamfc.json").read_text(encoding="utf-8"))
    found: dict[str, list[str]] = {}
    for panel in dashboard["panels"]:
        found.setdefault(panel["title"], []).extend(target["expr"] for target in panel["targets"])
    return found


@cache
def monitored(file: str) -> dict[str, Any]:
    """The services that the profile adds to a compose file."""
    command = [*compose_command(), "-f", file, "--profile", "monitoring", "config"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    services: dict[str, Any] = yaml.safe_load(done.stdout)["services"]
    return {name: services[name] for name in ("prometheus", "grafana")}


def mounts(service: dict[str, Any]) -> dict[str, Path]:
    """What is mounted where, of the repository; either form in which compose prints it."""
    found = {}
    for volume in service["volumes"]:
        source, target = volume.split(":")[:2] if isinstance(volume, str) else (volume["source"], volume["target"])
        if source.startswith("/"):
            found[target] = Path(source)
    return found


@pytest.mark.parametrize("file", COMPOSE)
def test_the_profile_mounts_what_is_there(file: str) -> None:
    services = monitored(file)
    prometheus, grafana = mounts(services["prometheus"]), mounts(services["grafana"])
    assert prometheus == {"/etc/prometheus": DOCKER / "prometheus"}
    assert (grafana["/etc/grafana/provisioning"] / "datasources" / "prometheus.yml").is_file()
    provider = yaml.safe_load((grafana["/etc/grafana/provisioning"] / "dashboards" / "siamfc.yml").read_text())
    folder = provider["providers"][0]["options"]["path"]
    home = services["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
    assert home == f"{folder}/siamfc.json"
    assert (grafana[folder] / "siamfc.json").is_file()


@pytest.mark.parametrize("file", COMPOSE)
def test_only_grafana_is_published_and_only_to_this_machine(file: str) -> None:
    services = monitored(file)
    assert "ports" not in services["prometheus"]
    (port,) = services["grafana"]["ports"]
    assert "127.0.0.1" in (port if isinstance(port, str) else port["host_ip"])


def test_grafana_asks_the_prometheus_of_the_compose_files() -> None:
    provisioned = DOCKER / "grafana" / "provisioning" / "datasources" / "prometheus.yml"
    (source,) = yaml.safe_load(provisioned.read_text())["datasources"]
    assert source["url"] == "http://prometheus:9090"
    dashboard = json.loads((DOCKER / "grafana" / "dashboards" / "siamfc.json").read_text(encoding="utf-8"))
    assert {panel["datasource"]["uid"] for panel in dashboard["panels"]} == {source["uid"]}


def test_promtool_accepts_the_configuration() -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("there is no promtool here")
    command = [promtool, "check", "config", str(DOCKER / "prometheus" / "prometheus.yml")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "rules found" in done.stdout


@contextmanager
def prometheus(folder: Path, target: str) -> Iterator[httpx.Client]:
    """The shipped configuration, asking `target` every second instead of the compose network's trackers."""
    program = shutil.which("prometheus")
    if program is None:
        pytest.skip("there is no prometheus here")
    shipped = yaml.safe_load((DOCKER / "prometheus" / "prometheus.yml").read_text())
    shipped["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
    shipped["rule_files"] = [str(DOCKER / "prometheus" / "alerts.yml")]
    (job,) = shipped["scrape_configs"]
    del job["dns_sd_configs"]
    job["static_configs"] = [{"targets": [target]}]
    (folder / "prometheus.yml").write_text(yaml.safe_dump(shipped))
    port = free_port()
    command = [program, f"--config.file={folder / 'prometheus.yml'}", f"--storage.tsdb.path={folder / 'data'}"]
    with (folder / "prometheus.log").open("wb") as log:
        process = subprocess.Popen([*command, f"--web.listen-address=127.0.0.1:{port}"], stdout=log, stderr=log)
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}") as client:
            yield client
    finally:
        process.terminate()
        process.wait(30)


def answer(client: httpx.Client, query: str) -> list[Any]:
    """The samples of a query; none while Prometheus is not up."""
    try:
        response = client.get("/api/v1/query", params={"query": query})
    except httpx.TransportError:
        return []
    if response.status_code == 503:
        return []
    assert response.status_code == 200, f"{query}: {response.text}"
    samples: list[Any] = response.json()["data"]["result"]
    return [sample for sample in samples if sample["value"][1] != "NaN"]


def eventually(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline, "not within the deadline"
        time.sleep(0.2)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_every_panel_shows_something_of_a_real_server(tmp_path: Path) -> None:
    queries = {title: [text.replace("$__rate_interval", "10s") for text in texts] for title, texts in panels().items()}
    with (
        running_server(tmp_path / "server.log", WEIGHTS="light") as server,
        prometheus(tmp_path, server.url.removeprefix("http://")) as prometheus_client,
        Client(server.url) as client,
        client.start(scene.frame(0), scene.truth(0)) as session,
    ):

        def seen() -> bool:
            session.update(scene.frame(1))
            empty = {title for title, texts in queries.items() if not all(answer(prometheus_client, t) for t in texts)}
            return empty <= EMPTY_IN_MEMORY

        eventually(seen)
        assert answer(prometheus_client, 'sum(up{job="siamfc"})')[0]["value"][1] == "1"
        # Nothing is amiss, and the rules are in force.
        rules = prometheus_client.get("/api/v1/rules").json()["data"]["groups"][0]["rules"]
        assert {rule["state"] for rule in rules} == {"inactive"}


def test_every_query_asks_for_a_metric_that_there_is() -> None:
    named = {name for texts in panels().values() for text in texts for name in re.findall(r"\bsiamfc_\w+", text)}
    source = (ROOT / "service").rglob("*.py")
    made = set(re.findall(r'"(siamfc_\w+)"', "".join(path.read_text(encoding="utf-8") for path in source)))
    assert {re.sub("_(total|bucket|sum|count)$", "", name) for name in named} <= made
