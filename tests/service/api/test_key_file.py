"""Keys change while the server runs, and the sessions of a revoked one end."""

from __future__ import annotations

import logging
import os
from pathlib import Path

import pytest

from service.api.key_file import KeyFile
from service.api.keys import Keyring
from service.errors import Unauthorized
from service.settings import Settings
from tests.service.conftest import RunService
from tests.support.asgi_socket import connect
from tests.support.waiting import eventually


def bearer(key: str) -> dict[str, str]:
    return {"authorization": f"Bearer {key}"}


def replace(path: Path, text: str) -> None:
    """Replace the file as an orchestrator does, so that its stamp differs even within one tick of the clock."""
    fresh = path.with_name("fresh")
    fresh.write_text(text)
    os.replace(fresh, path)


def test_a_changed_file_changes_the_keys(tmp_path: Path) -> None:
    path = tmp_path / "keys"
    path.write_text("one\ntwo\n")
    settings = Settings(api_keys_file=path)
    keyring = Keyring(settings.keys())
    file, one = KeyFile(settings, keyring), keyring.owner(bearer("one"))
    assert file.refresh() == frozenset()
    replace(path, "two\nthree\n")
    assert file.refresh() == {one}
    assert file.refresh() == frozenset()
    keyring.owner(bearer("two"))
    keyring.owner(bearer("three"))
    with pytest.raises(Unauthorized):
        keyring.owner(bearer("one"))


@pytest.mark.parametrize("text", [None, "", "\n\n"], ids=["missing", "empty", "blank-lines"])
def test_a_file_without_keys_opens_nothing(tmp_path: Path, text: str | None, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "keys"
    path.write_text("one\n")
    settings = Settings(api_keys_file=path)
    keyring = Keyring(settings.keys())
    file = KeyFile(settings, keyring)
    if text is None:
        path.unlink()
    else:
        replace(path, text)
    with caplog.at_level(logging.ERROR):
        assert file.refresh() == frozenset()
    assert "stay as they were" in caplog.text
    assert keyring.asked
    keyring.owner(bearer("one"))


@pytest.mark.anyio
async def test_a_revoked_key_s_sessions_end_and_its_sockets_close_with_1008(
    run_service: RunService, tmp_path: Path
) -> None:
    path = tmp_path / "keys"
    path.write_text("gone\nkept\n")
    async with run_service(api_keys_file=path) as service:
        service.client.headers.update(bearer("kept"))
        kept = await service.create()
        service.client.headers.update(bearer("gone"))
        streamed, idle = await service.create(), await service.create()
        async with connect(service.app, streamed["stream_url"], headers=[*bearer("gone").items()]) as socket:
            assert (await socket.receive())["type"] == "ready"
            replace(path, "kept\n")
            assert (await socket.closed())[0] == 1008
        await eventually(lambda: len(service.components.tracking.registry) == 1)
        assert (await service.client.get(f"/v1/sessions/{idle['session_id']}")).status_code == 401
        service.client.headers.update(bearer("kept"))
        assert (await service.client.get(f"/v1/sessions/{kept['session_id']}")).status_code == 200
