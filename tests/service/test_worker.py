"""`python -m service.worker`: a place and settings in, a status out."""

from __future__ import annotations

import os
from typing import Any

import pytest

from service import worker
from service.post import Post
from service.settings import Settings


def test_it_serves_its_place_with_the_environments_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Any] = []
    monkeypatch.setattr(worker, "run", lambda settings, post: seen.append((settings.port, post)) or 4)
    monkeypatch.setenv("SIAMFC_PORT", "9000")
    reading, writing = os.pipe()
    try:
        os.set_inheritable(writing, True)
        post = Post(1, 2, (), writing, reading, "/tmp/somewhere")
        assert worker.main([post.argument()]) == 4
        assert seen == [(9000, post)]
        assert not os.get_inheritable(writing)
    finally:
        os.close(reading)
        os.close(writing)


@pytest.mark.parametrize("arguments", [[], ["{}"], ["{}", "{}"]], ids=["none", "no place", "two"])
def test_without_a_place_it_ends_with_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert worker.main(arguments) == 2
    assert capsys.readouterr().err.startswith("siamfc: ")


def test_a_wrong_setting_ends_it_with_2(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("SIAMFC_PORT", "none")
    assert worker.main([Post(0, 2, (), 0, 0, "").argument()]) == 2
    assert "SIAMFC_PORT" in capsys.readouterr().err


def test_settings_survive_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = Settings(store="redis://:secret@host:7/1", workers=3, api_keys="a,b", batch_wait_ms=1.5, remember=False)
    monkeypatch.setenv("siamfc_port", "9000")
    monkeypatch.setenv("SIAMFC_DEBUG", "1")
    environment = settings.environment()
    assert "siamfc_port" not in environment
    assert environment["SIAMFC_DEBUG"] == "1"
    assert environment["PATH"] == os.environ["PATH"]
    for name in list(os.environ):
        monkeypatch.delenv(name)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert Settings() == settings
    assert Settings().keys() == ("a", "b")
