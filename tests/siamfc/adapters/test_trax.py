"""The TraX protocol with the client of the package vot-trax, and `vot test` of the VOT toolkit."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import cv2
import pytest

from tests.siamfc.cli.conftest import Run, pictures, run
from tests.support.fake_server import FakeServer

pytest.importorskip("trax", reason="the package vot-trax is not installed")

__all__ = ["run"]

ROOT = Path(__file__).parents[3]
VOT = Path(sys.prefix).parent / ".venv-tools" / "bin" / "vot"
"""The toolkit has an environment of its own, by `make tools`: it needs another OpenCV."""

CONVERSATION = """
import subprocess, sys
from trax import FileImage, Rectangle
from trax.client import Client

command, *images = sys.argv[1:]
process = subprocess.Popen(command.split(), stdin=subprocess.PIPE, stdout=subprocess.PIPE)
client = Client((process.stdin.fileno(), process.stdout.fileno()), log=lambda text: None)
print(client.tracker_name, client.region_formats, client.image_formats)

def say(status):
    (region, properties), = status[0]
    print(*(round(value, 3) for value in region.bounds()), properties.get("confidence"))

say(client.initialize({"color": FileImage.create(images[0])}, [(Rectangle.create(10, 20, 8, 6), {})], {}))
for image in images[1:]:
    say(client.frame({"color": FileImage.create(image)}, {}, []))
client.quit()
process.stdin.close()
process.stdout.close()
print(process.wait(60))
"""


def siamfc(*arguments: str) -> str:
    program = f"{sys.executable} -m siamfc.cli"
    return " ".join([program, *arguments])


@pytest.fixture
def images(tmp_path: Path) -> list[str]:
    paths = [str(tmp_path / f"{index}.png") for index in range(3)]
    for path, frame in zip(paths, pictures(), strict=False):
        assert cv2.imwrite(path, frame)
    return paths


def converse(command: str, images: list[str]) -> subprocess.CompletedProcess[str]:
    call = [sys.executable, "-c", CONVERSATION, command, *images]
    return subprocess.run(call, cwd=ROOT, capture_output=True, text=True, timeout=110, check=False)


def test_a_conversation(server: FakeServer, images: list[str]) -> None:
    done = converse(siamfc("trax", "--server", server.url), images)
    assert done.stdout.splitlines() == [
        "SiamFC ['rectangle'] ['path']",
        "10.0 20.0 8.0 6.0 0.900000",
        "11.0 20.0 8.0 6.0 0.900000",
        "12.0 20.0 8.0 6.0 0.900000",
        "0",
    ], done.stderr
    assert not server.sessions


def test_a_frame_that_cannot_be_read_ends_the_conversation_and_says_why(server: FakeServer, images: list[str]) -> None:
    done = converse(siamfc("trax", "--server", server.url), [images[0], "/nowhere.png"])
    assert done.returncode == 1
    assert "the frame '/nowhere.png' cannot be read" in done.stderr
    assert not server.sessions


def test_a_client_that_goes_without_a_word(server: FakeServer) -> None:
    command = [sys.executable, "-c", "from siamfc.cli import main; main()", "trax", "--server", server.url]
    done = subprocess.run(
        command, cwd=ROOT, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=110, check=False
    )
    assert done.returncode == 1
    assert done.stderr == "siamfc: the TraX client has gone without saying so\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        pytest.param(("--server", "nowhere"), "a server's address is", id="address"),
        pytest.param(("--server", "http://h", "--device", "cpu"), "does not go with --server", id="both"),
        pytest.param(("--api-key", "k"), "goes with --server", id="key alone"),
    ],
)
def test_the_command_refuses(run: Run, arguments: tuple[str, ...], message: str) -> None:
    result = run("trax", *arguments)
    assert result.exit_code == 2
    assert message in result.stderr


@pytest.mark.slow
@pytest.mark.timeout(400)
@pytest.mark.skipif(not VOT.is_file(), reason="the VOT toolkit is not installed (make tools)")
@pytest.mark.parametrize("protocol", ["traxpython", "trax"])
def test_vot_test_concludes(tmp_path: Path, server: FakeServer, protocol: str) -> None:
    """It exits 0 whatever comes, so its words count."""
    arguments = f"['siamfc', 'trax', '--server', '{server.url}']"
    command = {
        "traxpython": f"sys.argv = {arguments}; from siamfc.cli import main; main()",
        "trax": siamfc("trax", "--server", server.url),
    }[protocol]
    lines = ["[SiamFC]", f"protocol = {protocol}", f"command = {command}", "timeout = 300"]
    if protocol == "traxpython":
        lines += [f"python = {sys.executable}", f"paths = {ROOT}"]
    (tmp_path / "trackers.ini").write_text("\n".join(lines))
    call = [str(VOT), "test", "SiamFC"]
    environment = {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT), "HOME": str(tmp_path), "MPLBACKEND": "Agg"}
    done = subprocess.run(call, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=390, check=False)
    said = done.stdout + done.stderr
    assert "Test concluded successfuly" in said, said
    assert len(server.frames) == 49
