"""rediss:// against a real Redis with TLS: the authority is checked, and a client certificate is shown."""

from __future__ import annotations

import shutil
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from service.operations.metrics import Metrics
from service.sessions.stores.redis import RedisStore
from service.sessions.stores.redis_tls import TlsFiles
from service.settings import SettingsError, load_settings
from tests.service.sessions.stores.test_store import facts, state

START_S = 20.0


@dataclass(frozen=True)
class TlsRedis:
    """A Redis with TLS that asks for a client certificate: its address, and the folder of all certificates."""

    url: str
    folder: Path

    def files(self, authority: str = "ca", certificate: str | None = "client") -> TlsFiles:
        """The files of a client."""
        name = certificate
        return TlsFiles(
            self.folder / f"{authority}.pem",
            None if name is None else self.folder / f"{name}.pem",
            None if name is None else self.folder / f"{name}.key",
        )


def openssl(folder: Path, *words: str) -> None:
    subprocess.run(["openssl", *words], cwd=folder, check=True, capture_output=True)


def make_authority(folder: Path, name: str) -> None:
    openssl(
        folder, *f"req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN={name}".split(),
        "-keyout", f"{name}.key", "-out", f"{name}.pem",
    )  # fmt: skip


def make_certificate(folder: Path, name: str, authority: str) -> None:
    openssl(
        folder, *f"req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN={name}".split(),
        "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", f"{name}.key", "-out", f"{name}.csr",
    )  # fmt: skip
    (folder / "names").write_text("subjectAltName=IP:127.0.0.1\n")
    openssl(
        folder, *f"x509 -req -in {name}.csr -CA {authority}.pem -CAkey {authority}.key -CAcreateserial".split(),
        "-days", "2", "-extfile", "names", "-out", f"{name}.pem",
    )  # fmt: skip


@pytest.fixture(scope="module")
def tls_redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TlsRedis]:
    for program in ("redis-server", "openssl"):
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not installed")
    folder = tmp_path_factory.mktemp("tls")
    for name in ("ca", "other-ca"):
        make_authority(folder, name)
    for name, authority in [("server", "ca"), ("client", "ca"), ("stranger", "other-ca")]:
        make_certificate(folder, name, authority)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    words = f"--port 0 --tls-port {port} --bind 127.0.0.1 --appendonly no --dir {folder} --tls-auth-clients yes"
    files = "--tls-cert-file server.pem --tls-key-file server.key --tls-ca-cert-file ca.pem"
    with subprocess.Popen(
        ["redis-server", *words.split(), *files.split(), "--save", ""], cwd=folder, stdout=subprocess.PIPE
    ) as process:
        try:
            _wait_for(port, process)
            yield TlsRedis(f"rediss://127.0.0.1:{port}/0", folder)
        finally:
            process.kill()


def _wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline:
        if process.poll() is not None:
            pytest.skip("this redis-server has no TLS")
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
    raise AssertionError("redis-server does not listen")


async def failure_of(url: str, files: TlsFiles) -> str | None:
    """Connect, write a session and read it; returns the store's failure."""
    store = RedisStore(url, Metrics(), tls=files)
    await store.start()
    try:
        if store.failure is None:
            await store.create(facts(), state(), [])
            assert (await store.read("s1", "me")).state == state()
        return store.failure
    finally:
        await store.stop()


@pytest.mark.anyio
async def test_with_authority_and_certificate_it_works(tls_redis: TlsRedis) -> None:
    assert await failure_of(tls_redis.url, tls_redis.files()) is None


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("authority", "certificate"),
    [
        pytest.param("other-ca", "client", id="another-authority"),
        pytest.param("ca", None, id="no-certificate"),
        pytest.param("ca", "stranger", id="a-stranger-s-certificate"),
    ],
)
async def test_otherwise_the_store_is_away(tls_redis: TlsRedis, authority: str, certificate: str | None) -> None:
    assert await failure_of(tls_redis.url, tls_redis.files(authority, certificate)) is not None


@pytest.mark.anyio
async def test_the_server_s_name_is_checked(tls_redis: TlsRedis) -> None:
    # Its certificate speaks of 127.0.0.1.
    url = tls_redis.url.replace("127.0.0.1", "localhost")
    assert await failure_of(url, tls_redis.files()) is not None


def test_the_files_are_settings(tls_redis: TlsRedis) -> None:
    settings = load_settings(
        store=tls_redis.url,
        store_ca=tls_redis.folder / "ca.pem",
        store_cert=tls_redis.folder / "client.pem",
        store_key=tls_redis.folder / "client.key",
    )
    assert settings.store_ca is not None
    assert ssl.create_default_context(cafile=settings.store_ca).cert_store_stats()["x509_ca"] == 1


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        pytest.param({"store": "redis://h", "store_ca": "ca.pem"}, "STORE_CA is for a rediss", id="without-tls"),
        pytest.param({"store_ca": "ca.pem"}, "STORE_CA is for a rediss", id="in-memory"),
        pytest.param({"store": "rediss://h", "store_cert": "client.pem"}, "go together", id="half-a-pair"),
        pytest.param({"store": "rediss://h", "store_ca": "missing.pem"}, "cannot be read", id="missing"),
    ],
)
def test_wrong_files_are_refused_at_start(wrong: dict[str, str], says: str) -> None:
    with pytest.raises(SettingsError, match=says):
        load_settings(**wrong)
