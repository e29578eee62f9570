"""Several processes on one port: started in turn, replaced, and stopped, by workers that only act as if."""

from __future__ import annotations

import logging
import os
import signal
import socket
import sys
from pathlib import Path
from typing import Any

import pytest

from service import workers
from service.post import Post
from service.settings import Settings
from service.workers import Supervisor, bound, for_worker, run

START = """
import json, os, signal, sys, time
post = json.loads(sys.argv[-1])
number, boss = post["number"], os.getppid()
def note(text):
    with open("notes", "a") as file:
        file.write(text + "\\n")
def ready():
    os.write(post["ready"], b"1")
def stop(boss_too=signal.SIGTERM):
    os.kill(boss, boss_too)
def when_told(action):
    signal.signal(signal.SIGTERM, lambda *_: action())
def wait():
    while True:
        signal.pause()
note(f"start {number}")
times = open("notes").read().splitlines().count(f"start {number}")
when_told(lambda: sys.exit(0))
"""
"""Begins every worker's program: its place, and what it may do."""


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(workers, "_FIRST_DELAY_S", 0.01)
    monkeypatch.chdir(tmp_path)


def supervise(program: str, count: int = 2, **settings: Any) -> int:
    """The status of a server whose workers run `program`; they tell it when to stop."""
    known = Settings(workers=count, store="redis://nowhere", **settings)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return Supervisor(known, [listener], "", (sys.executable, "-S", "-c", START + program)).run()


def notes() -> list[str]:
    return Path("notes").read_text().splitlines()


def test_the_others_start_when_the_first_is_ready_and_all_are_stopped() -> None:
    status = supervise("""
def end():
    note(f"end {number}")
    sys.exit(0)
when_told(end)
if number == 0:
    note("0 is ready")
ready()
if number == 2:
    # The last may be ready before the one in the middle has begun.
    while "start 1" not in open("notes").read():
        time.sleep(0.01)
    stop()
wait()
""", 3)  # fmt: skip
    assert status == 0
    assert notes()[:2] == ["start 0", "0 is ready"]
    assert sorted(notes()[2:4]) == ["start 1", "start 2"]
    assert {"end 0", "end 2"} <= set(notes())


@pytest.mark.parametrize(
    ("ends", "status"), [("sys.exit(2)", 2), ("sys.exit(7)", 1), ("os.kill(os.getpid(), signal.SIGKILL)", 1)]
)
def test_a_first_worker_that_is_never_ready_ends_it(ends: str, status: int) -> None:
    assert supervise(ends) == status
    assert notes() == ["start 0"]


def test_a_dead_worker_is_replaced(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "service"):
        status = supervise("""
ready()
if number == 1 and times < 3:
    os.kill(os.getpid(), signal.SIGKILL)
if number == 1:
    stop()
wait()
""")  # fmt: skip
    assert status == 0
    assert notes() == ["start 0", "start 1", "start 1", "start 1"]
    died = [record for record in caplog.records if record.levelname == "ERROR"]
    assert len(died) == 2
    assert all("ended with status -9; another takes its place in 0.01 s" in each.getMessage() for each in died)


def test_one_that_keeps_dying_is_waited_for_longer_and_longer(caplog: pytest.LogCaptureFixture) -> None:
    status = supervise("""
if number == 1 and times == 4:
    stop()
    wait()
if number == 1:
    sys.exit(3)
ready()
wait()
""")  # fmt: skip
    assert status == 0
    waits = [record.getMessage().rpartition(" in ")[2] for record in caplog.records if record.levelname == "ERROR"]
    assert waits == ["0.01 s", "0.02 s", "0.04 s"]


def test_a_worker_that_fails_to_stop_well_shows_in_the_status() -> None:
    assert supervise("""
when_told(lambda: sys.exit(number))
ready()
if number == 1:
    stop()
wait()
""") == 1  # fmt: skip


def test_a_worker_that_does_not_stop_is_killed(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(workers, "_STOP_S", 0.1)
    assert supervise("""
signal.signal(signal.SIGTERM, signal.SIG_IGN)
ready()
stop()
while True:
    signal.pause()
""", drain_s=0.1) == 1  # fmt: skip
    assert any("does not stop, and is killed" in record.getMessage() for record in caplog.records)


def test_a_second_signal_is_passed_on_as_it_is() -> None:
    assert supervise("""
def hurry(*_):
    note("hurry")
    sys.exit(0)
def end():
    note("end")
    stop(signal.SIGINT)
signal.signal(signal.SIGINT, hurry)
when_told(end if number == 0 else lambda: sys.exit(0))
ready()
if number == 0:
    stop(signal.SIGINT)
wait()
""") == 0  # fmt: skip
    assert [note for note in notes() if note != "start 1"] == ["start 0", "end", "hurry"]


def test_told_to_stop_before_anything_is_ready_it_stops() -> None:
    assert supervise("stop()\nwait()") == 0
    assert notes() == ["start 0"]


def test_workers_inherit_the_port_and_the_settings() -> None:
    assert supervise("""
import socket
with socket.socket(fileno=post["listeners"][0]) as listener:
    note(str(listener.getsockname()[0]))
note(f"{post['count']} {os.environ['SIAMFC_STORE']} {os.environ['SIAMFC_DRAIN_S']} {os.environ['SIAMFC_THREADS']}")
stop()
wait()
""", 3, drain_s=2.5, threads=4) == 0  # fmt: skip
    assert notes() == ["start 0", "127.0.0.1", "3 redis://nowhere 2.5 4"]


def test_handlers_are_put_back() -> None:
    before = [signal.getsignal(each) for each in workers._STOPS]
    supervise("sys.exit(2)")
    assert [signal.getsignal(each) for each in workers._STOPS] == before
    assert signal.set_wakeup_fd(-1) == -1


def test_a_port_that_is_taken_ends_it_with_1(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr("logging.config.dictConfig", lambda config: None)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert run(Settings(workers=2, store="redis://nowhere", port=port)) == 1
    assert f"cannot listen on 127.0.0.1, port {port}" in caplog.text


def test_one_worker_is_the_server_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Settings] = []
    monkeypatch.setattr("service.serve.run", lambda settings: seen.append(settings) or 5)
    assert run(Settings()) == 5
    assert seen == [Settings()]


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "0.0.0.0"])
def test_all_addresses_of_a_host_have_one_port(host: str) -> None:
    made = bound(host, 0)
    try:
        assert len({each.getsockname()[1] for each in made}) == 1
        assert made[0].getsockname()[1] > 0
    finally:
        for each in made:
            each.close()


def test_an_address_that_is_not_here_leaves_no_socket_open() -> None:
    with pytest.raises(OSError):
        bound("203.0.113.7", 0)


def test_workers_share_the_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(8)), raising=False)
    several = {"store": "redis://nowhere"}
    assert for_worker(Settings(workers=3, **several)).threads == 2
    assert for_worker(Settings(workers=16, **several)).threads == 1
    assert for_worker(Settings(workers=3, threads=5, **several)).threads == 5


def test_a_place_names_every_descriptor_it_hands_down() -> None:
    reading, writing = os.pipe()
    try:
        assert Post(0, 2, (reading,), writing, 9, "").descriptors == (reading, writing, 9)
    finally:
        os.close(reading)
        os.close(writing)
