"""One stream through the balancer while its tracker is killed, and once more while it is told to stop.

Usage: verify_failover.py URL FOLDER x,y,w,h CONTAINER CONTAINER...   (the trackers' containers; at least two)
Exit status 0: every frame was answered once, in order, with the boxes of a stream that nothing happened to.
"""

from __future__ import annotations

import re
import subprocess
import sys
import time
from collections.abc import Iterator
from itertools import chain, cycle, islice
from pathlib import Path

from siamfc import Client, Result, Session

FRAMES = 60
DISRUPTIONS = {20: "kill", 40: "stop"}
"""After so many answers, what is done to the container that drives the stream."""
MAX_DIFFERENCE_PX = 1.0
START_DEADLINE_S = 90.0
_METRICS = "import urllib.request as r; print(r.urlopen('http://127.0.0.1:8000/metrics').read().decode())"
_HEALTHY = ["python", "/opt/siamfc/healthcheck.py"]

Box = tuple[float, float, float, float]


def main(url: str, folder: str, box: str, *containers: str) -> int:
    first, *rest = sorted(path for path in Path(folder).iterdir() if path.is_file())
    # There and back again, so that the target never jumps.
    there_and_back = list(chain(rest, reversed([first, *rest[:-1]])))
    frames = list(islice(cycle(there_and_back), FRAMES))
    start: Box = tuple(float(value) for value in box.split(","))  # type: ignore[assignment]
    with Client(url) as client:
        with client.start(first, start) as session:
            undisturbed = [answer.target.box for answer, _ in answers(session, frames, ())]
        with client.start(first, start) as session:
            disturbed, gaps = [], []
            for answer, waited_s in answers(session, frames, containers):
                disturbed.append(answer.target.box)
                gaps.append(waited_s)
            indexes = session.state().frame_index
    differences = [
        max(abs(p - q) for p, q in zip(a, b, strict=True)) for a, b in zip(undisturbed, disturbed, strict=True)
    ]
    print(
        f"failover: {len(disturbed)} frames, each answered once; frame_index {indexes}; "
        f"longest wait for an answer {max(gaps):.2f} s; boxes differ by at most {max(differences):.3f} px"
    )
    return int(len(disturbed) != FRAMES or max(differences) > MAX_DIFFERENCE_PX)


def answers(session: Session, frames: list[Path], containers: tuple[str, ...]) -> Iterator[tuple[Result, float]]:
    """Each answer and the seconds it was waited for. Raises AssertionError for one that is no result."""
    asked = time.monotonic()
    for count, answer in enumerate(session.stream(frames)):
        assert isinstance(answer, Result), answer
        yield answer, time.monotonic() - asked
        if containers and count in DISRUPTIONS:
            disturb(DISRUPTIONS[count], containers)
        asked = time.monotonic()


def disturb(how: str, containers: tuple[str, ...]) -> None:
    """Kill or stop the container that drives a stream, when all run; start it again when it is to be stopped next."""
    for container in containers:
        if docker("inspect", "-f", "{{.State.Running}}", container) != "true":
            docker("start", container)
            wait_healthy(container)
    driving = next(each for each in containers if streams(each))
    print(f"failover: docker {how} {driving[:12]}")
    docker(how, driving)


def streams(container: str) -> float:
    """How many streams the tracker in this container has open."""
    found = re.search(r"^siamfc_streams (\S+)$", docker("exec", container, "python", "-c", _METRICS), re.MULTILINE)
    assert found, "no metric siamfc_streams"
    return float(found[1])


def wait_healthy(container: str) -> None:
    """Until the tracker in this container is ready. Raises AssertionError where it is not in time."""
    deadline = time.monotonic() + START_DEADLINE_S
    while subprocess.run(["docker", "exec", container, *_HEALTHY], check=False, capture_output=True).returncode:
        assert time.monotonic() < deadline, f"{container} was not ready in time"
        time.sleep(0.2)


def docker(*arguments: str) -> str:
    return subprocess.run(["docker", *arguments], check=True, capture_output=True, text=True).stdout.strip()


if __name__ == "__main__":
    if len(sys.argv) < 6:
        print("usage: verify_failover.py URL FOLDER x,y,w,h CONTAINER CONTAINER...", file=sys.stderr)
        sys.exit(2)
    sys.exit(main(*sys.argv[1:]))
