"""What the page saves, read by the tools that it is meant for (or by what every installation has)."""

from __future__ import annotations

import csv
import json
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator
from pathlib import Path

import av
import cv2
import pytest
from playwright.sync_api import Browser, Page, expect

from tests.integration import scene
from tests.integration.browser import drag, expect_state, needs_browser, open_page, opened_page
from tests.support.numbered import STEP_MS, write_clip
from tests.support.server import Server

FRAMES = 6
SIZE = (scene.WIDTH, scene.HEIGHT)
SECOND = [10.0, 100.0, 30.0, 30.0]
"""Something of the ground, which does not move."""

Save = Callable[[str], Path]


@pytest.fixture(scope="module")
def finished(browser: Browser, server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    """A page on which two targets were tracked: "patch", and "a, b"."""
    with opened_page(browser) as page:
        open_page(page, server)
        path = write_clip(tmp_path_factory.mktemp("clip") / "clip.mp4", "libx264", FRAMES, scene.picture)
        page.locator("#file").set_input_files(path)
        expect(page.locator("#frame-count")).to_have_text(f"of {FRAMES - 1}")
        drag(page, SIZE, scene.truth(0))
        expect_state(page, "ended")
        page.locator("#timeline").press("Home")
        page.get_by_role("button", name="Add target").click()
        drag(page, SIZE, SECOND)
        page.get_by_role("button", name="Go on").click()
        expect_state(page, "ended")
        for number, name in (("1", "patch"), ("2", "a, b")):
            page.get_by_label(f"Name of {number}").fill(name)
            page.get_by_label(f"Name of {number}").press("Enter")
        yield page


@pytest.fixture
def save(finished: Page, tmp_path: Path) -> Save:
    """Press a button of "Save the result"; the file."""

    def press(button: str) -> Path:
        with finished.expect_download() as download:
            finished.get_by_role("button", name=button, exact=True).click()
        path = tmp_path / download.value.suggested_filename
        download.value.save_as(path)
        return path

    return press


def is_near(box: list[float], frame: int) -> bool:
    return scene.overlap(box, scene.truth(frame)) > 0.5


@needs_browser
def test_csv(save: Save) -> None:
    path = save("CSV")
    assert path.name == "clip.csv"
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 2 * FRAMES
    for row in rows:
        frame = int(row["frame"])
        assert float(row["time_s"]) == pytest.approx(frame * STEP_MS / 1000)
        assert row["name"] == {"1": "patch", "2": "a, b"}[row["id"]]
        assert row["status"] == "given" if frame == 0 else row["status"] in ("tracking", "uncertain", "lost")
        if row["id"] == "1":
            assert is_near([float(row[side]) for side in "xywh"], frame)


@needs_browser
def test_json_lines(save: Save) -> None:
    lines = [json.loads(line) for line in save("JSON lines").read_text(encoding="utf-8").splitlines()]
    assert [line["frame_index"] for line in lines] == list(range(FRAMES))
    for line in lines:
        first = line["targets"][0]
        assert first["id"] == "1"
        assert is_near(first["box"], line["frame_index"])
        assert 0 <= first["score"] <= 1


@needs_browser
def test_mot(save: Save) -> None:
    rows = [line.split(",") for line in save("MOT").read_text(encoding="utf-8").splitlines()]
    assert {len(row) for row in rows} == {10}
    firsts = {int(row[0]): [float(number) for number in row[2:6]] for row in rows if row[1] == "1"}
    assert list(firsts) == list(range(1, FRAMES + 1))
    assert all(is_near(box, frame - 1) for frame, box in firsts.items())


@needs_browser
def test_cvat(save: Save) -> None:
    root = ET.parse(save("CVAT XML")).getroot()
    assert root.findtext("version") == "1.1"
    assert [label.text for label in root.findall("meta/task/labels/label/name")] == ["patch", "a, b"]
    tracks = root.findall("track")
    assert [track.get("label") for track in tracks] == ["patch", "a, b"]
    places = tracks[0].findall("box")
    assert [int(box.get("frame", "")) for box in places] == list(range(FRAMES))
    for box in places:
        x, y, right, bottom = (float(box.get(side, "nan")) for side in ("xtl", "ytl", "xbr", "ybr"))
        assert is_near([x, y, right - x, bottom - y], int(box.get("frame", "")))


@needs_browser
def test_coco(save: Save) -> None:
    data = json.loads(save("COCO").read_text(encoding="utf-8"))
    assert len(data["images"]) == FRAMES
    assert [category["name"] for category in data["categories"]] == ["patch", "a, b"]
    assert len({annotation["id"] for annotation in data["annotations"]}) == len(data["annotations"])
    frames = {image["id"]: number for number, image in enumerate(data["images"])}
    for annotation in data["annotations"]:
        if annotation["category_id"] == 1:
            assert is_near(annotation["bbox"], frames[annotation["image_id"]])
            assert annotation["area"] == pytest.approx(annotation["bbox"][2] * annotation["bbox"][3], abs=1)


@needs_browser
@pytest.mark.parametrize(("button", "kind"), [("CVAT XML", "cvat"), ("COCO", "coco")])
def test_datumaro_reads_it(save: Save, tmp_path: Path, button: str, kind: str) -> None:
    datumaro = pytest.importorskip("datumaro", reason="datumaro is not installed")
    path = save(button)
    if kind == "coco":
        # Datumaro looks for a folder of images beside the annotations; it may be empty.
        (tmp_path / "images").mkdir()
        (tmp_path / "annotations").mkdir()
        path = path.rename(tmp_path / "annotations" / "instances_clip.json").parents[1]
    dataset = datumaro.Dataset.import_from(str(path), kind)
    boxes = [annotation.get_bbox() for item in dataset for annotation in item.annotations]
    assert len(boxes) == 2 * FRAMES


@needs_browser
def test_pycocotools_reads_it(save: Save) -> None:
    coco = pytest.importorskip("pycocotools.coco", reason="pycocotools is not installed").COCO(str(save("COCO")))
    assert len(coco.getAnnIds(catIds=[1])) == FRAMES


@needs_browser
@pytest.mark.filterwarnings("ignore:Operation with tuple is deprecated")  # motmetrics' own use of pandas
def test_motmetrics_reads_it(save: Save) -> None:
    motmetrics = pytest.importorskip("motmetrics", reason="motmetrics is not installed")
    table = motmetrics.io.loadtxt(str(save("MOT")), fmt="mot15-2D")
    assert len(table.xs(1, level="Id")) == FRAMES


@needs_browser
def test_the_video_has_every_frame_with_its_boxes(save: Save) -> None:
    path = save("Video")
    assert path.name == "clip.tracked.mp4"
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        assert (stream.codec_context.name, stream.frames) == ("h264", FRAMES)
        frames = list(container.decode(video=0))
        assert [frame.time for frame in frames] == pytest.approx([k * STEP_MS / 1000 for k in range(FRAMES)])
        assert stream.duration is not None
        assert stream.time_base is not None
        assert float(stream.duration * stream.time_base) == pytest.approx(FRAMES * STEP_MS / 1000)
    for number, frame in enumerate(frames):
        assert_has_box(frame, number)
    capture = cv2.VideoCapture(str(path))
    assert capture.get(cv2.CAP_PROP_FRAME_COUNT) == FRAMES
    assert capture.read()[0]
    capture.release()


@needs_browser
def test_the_saved_video_opens_on_the_page(save: Save, browser: Browser, server: Server) -> None:
    with opened_page(browser) as page:
        open_page(page, server)
        page.locator("#file").set_input_files(save("Video"))
        expect(page.locator("#frame-count")).to_have_text(f"of {FRAMES - 1}")


@needs_browser
def test_without_an_encoder_the_browser_records_the_video(finished: Page, save: Save) -> None:
    finished.evaluate("() => { globalThis.Kept = VideoEncoder; delete globalThis.VideoEncoder; }")
    try:
        path = save("Video")
    finally:
        finished.evaluate("() => { globalThis.VideoEncoder = Kept; }")
    with av.open(str(path)) as container:
        frames = list(container.decode(video=0))
    # A recorder on a busy machine leaves frames out; the first and the last are there.
    assert 2 <= len(frames) <= FRAMES + 2
    for frame, number in ((frames[0], 0), (frames[-1], FRAMES - 1)):
        assert_has_box(frame, number)


def assert_has_box(frame: av.VideoFrame, number: int) -> None:
    """The lower edge of the first target's box is drawn in that frame of the clip."""
    picture = frame.to_ndarray(format="rgb24")
    assert picture.shape == (scene.HEIGHT, scene.WIDTH, 3)
    x, y, w, h = (round(value) for value in scene.truth(number))
    plain = scene.picture(number).astype(int)
    changed = abs(picture.astype(int) - plain).sum(axis=2)
    assert changed[y + h - 2 : y + h + 3, x : x + w].max(axis=0).mean() > 60
