"""Every frame of a clip, by its number: containers, codecs, and the two ways of reading them."""

from __future__ import annotations

import base64
import struct
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.integration import scene
from tests.integration.browser import needs_browser, open_page, opened_page
from tests.support.numbered import write_clip
from tests.support.server import Server

FRAMES = 45
JAGGED_MS = [40 * k + (13 if k % 3 else 0) for k in range(FRAMES)]
HIDDEN_FRAMES = {"auto-alt-ref": "1", "lag-in-frames": "8", "arnr-maxframes": "5"}
FRAGMENTS = {"movflags": "+frag_keyframe+empty_moov+default_base_moof"}
B_FRAMES = {"g": "12", "bf": "2", "preset": "fast"}

READ = """async ([bytes, name, order]) => {
  const { openVideo } = await import("/web/video.js");
  const data = Uint8Array.from(atob(bytes), (letter) => letter.charCodeAt(0));
  const source = await openVideo(new File([data], name));
  const canvas = new OffscreenCanvas(source.size.width, source.size.height);
  const context = canvas.getContext("2d", { willReadFrequently: true });
  const number = () => {
    source.paint(context);
    let value = 0;
    for (let bit = 0; bit < 8; bit += 1) value |= (context.getImageData(16 * bit + 8, 8, 1, 1).data[0] > 127) << bit;
    return value;
  };
  const read = [];
  for (let index = 0; await source.load(index); index += 1) read.push(number());
  const again = [];
  for (const index of order) {
    await source.load(index);
    again.push(number());
  }
  const facts = { read, again, count: source.count, rate: source.rate, size: [source.size.width, source.size.height] };
  const times = read.map((_, index) => source.time(index));
  const way = source.constructor.name;
  source.stop();
  return { ...facts, times, way };
}"""


@dataclass(frozen=True)
class Clip:
    """How a clip is made."""

    file: str
    codec: str
    options: dict[str, str] = field(default_factory=dict)
    container: dict[str, str] = field(default_factory=dict)
    times_ms: list[int] | None = None


CLIPS = {
    "MP4, H.264 with B frames": Clip("b.mp4", "libx264", B_FRAMES),
    "MP4, its index first": Clip("first.mp4", "libx264", B_FRAMES, {"movflags": "+faststart"}),
    "MP4, uneven times": Clip("jagged.mp4", "libx264", B_FRAMES, times_ms=JAGGED_MS),
    "QuickTime": Clip("clip.mov", "libx264", B_FRAMES),
    "MP4 in fragments": Clip("parts.mp4", "libx264", {"g": "12", "bf": "0"}, FRAGMENTS),
    "WebM, VP8": Clip("eight.webm", "libvpx", {"deadline": "good", "cpu-used": "5", "g": "12"} | HIDDEN_FRAMES),
    "WebM, VP9": Clip("nine.webm", "libvpx-vp9", {"deadline": "realtime", "cpu-used": "8", "g": "12"}),
    "Matroska, H.264": Clip("clip.mkv", "libx264", B_FRAMES),
    "MP4, AV1": Clip("one.mp4", "libsvtav1", {"preset": "12", "g": "12"}),
}
JUMPS = [20, 19, 3, 44, 0, 13, 12, 11]


def read(page: Page, path: Path) -> dict[str, Any]:
    result: dict[str, Any] = page.evaluate(READ, [base64.b64encode(path.read_bytes()).decode(), path.name, JUMPS])
    return result


@needs_browser
@pytest.mark.parametrize("way", ["CodecReader", "StepReader"])
@pytest.mark.parametrize("name", CLIPS)
def test_every_frame_once(browser: Browser, server: Server, tmp_path: Path, name: str, way: str) -> None:
    clip = CLIPS[name]
    path = write_clip(
        tmp_path / clip.file,
        clip.codec,
        FRAMES,
        scene.picture,
        times_ms=clip.times_ms,
        options=clip.options,
        container=clip.container,
    )
    with opened_page(browser) as page:
        if way == "StepReader":
            # As on a page that is neither https nor localhost.
            page.add_init_script("delete globalThis.VideoDecoder")
        open_page(page, server)
        result = read(page, path)
    assert result["read"] == list(range(FRAMES))
    assert result["again"] == JUMPS
    assert result["count"] == FRAMES
    assert result["size"] == scene.SIZE
    assert result["way"] == way
    expected = [moment / 1000 for moment in clip.times_ms or range(0, 40 * FRAMES, 40)]
    assert result["times"] == pytest.approx(expected, abs=0.002)


@needs_browser
def test_fragments_with_b_frames(page: Page, server: Server, tmp_path: Path) -> None:
    open_page(page, server)
    path = write_clip(tmp_path / "b.mp4", "libx264", FRAMES, scene.picture, options=B_FRAMES, container=FRAGMENTS)
    result = read(page, path)
    assert result["read"] == list(range(FRAMES))
    assert result["way"] == "CodecReader"


@needs_browser
def test_a_phone_held_upright(page: Page, server: Server, tmp_path: Path) -> None:
    open_page(page, server)
    path = write_clip(tmp_path / "upright.mp4", "libx264", 3, scene.picture)
    data = path.read_bytes()
    # The track header's matrix (ISO/IEC 14496-12, 8.3.2), 16.16 fixed point: a quarter turn clockwise.
    place = data.index(b"tkhd") + 4 + 40
    matrix = struct.pack(">9i", 0, 1 << 16, 0, -1 << 16, 0, 0, scene.HEIGHT << 16, 0, 1 << 30)
    path.write_bytes(data[:place] + matrix + data[place + 36 :])
    corner = """async ([bytes, name]) => {
      const { openVideo } = await import("/web/video.js");
      const source = await openVideo(new File([Uint8Array.from(atob(bytes), (c) => c.charCodeAt(0))], name));
      const canvas = new OffscreenCanvas(source.size.width, source.size.height);
      const context = canvas.getContext("2d");
      await source.load(1);
      source.paint(context);
      const white = (x, y) => context.getImageData(x, y, 1, 1).data[0] > 127;
      return [source.constructor.name, canvas.width, canvas.height, white(canvas.width - 8, 8), white(8, 8)];
    }"""
    given = [base64.b64encode(path.read_bytes()).decode(), path.name]
    # Frame 1 has its lowest bit set: white in the stored picture's top left corner, which is now the top right one.
    for way in ("CodecReader", "StepReader"):
        assert page.evaluate(corner, given) == [way, scene.HEIGHT, scene.WIDTH, True, False]
        page.evaluate("delete globalThis.VideoDecoder")


@needs_browser
def test_a_video_that_cannot_be_decoded(page: Page, server: Server, tmp_path: Path) -> None:
    open_page(page, server)
    path = write_clip(tmp_path / "old.avi", "mpeg4", 3, scene.picture)
    page.locator("#file").set_input_files(path)
    alert = page.get_by_role("alert")
    expect(alert).to_contain_text("old.avi: this browser cannot decode it.")
    expect(alert).to_contain_text("H.264")
    expect(alert).to_contain_text("siamfc track old.avi")
