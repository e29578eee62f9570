"""Tracking a clip on the page, and correcting it: what is tracked again, and what stays."""

from __future__ import annotations

import json
import math
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import av
import httpx
import pytest
from playwright.sync_api import Page, expect

from siamfc import Client
from tests.integration import scene
from tests.integration.browser import (
    drag,
    expect_state,
    go_to,
    needs_browser,
    open_page,
    pull,
    shown_box,
    wait_for_answers,
)
from tests.integration.calls import metric
from tests.support.numbered import write_clip
from tests.support.server import Server

SIZE = (scene.WIDTH, scene.HEIGHT)
LONG, SHORT = 120, 24
SECOND = 1


def truth(k: int, which: int = 0) -> list[float]:
    """The box of one of two patches in frame `k`: both go to and fro, and stay apart."""
    x = 16 + 92 * which + 24 * (1 - math.cos(k / 14 + which))
    y = 36 + 30 * math.sin(k / 11 + 2 * which)
    return [float(round(x)), float(round(y)), scene.PATCH_WIDTH, scene.PATCH_HEIGHT]


def two_patches(k: int) -> scene.Picture:
    """Frame `k`: the ground of the small scene, and two patches of their own."""
    picture = scene.ground().copy()
    for which in (0, 1):
        x, y, w, h = (int(value) for value in truth(k, which))
        picture[y : y + h, x : x + w] = scene.patch(which)
    return picture


def open_clip(page: Page, folder: Path, frames: int) -> Path:
    """Open a clip of that many frames; returns its file."""
    path = write_clip(folder / "clip.mp4", "libx264", frames, two_patches, options={"g": "30", "crf": "12"})
    page.locator("#file").set_input_files(path)
    expect(page.locator("#frame-count")).to_have_text(f"of {frames - 1}")
    return path


def pause(page: Page) -> None:
    """Pause, and wait until the frames under way are answered."""
    page.get_by_role("button", name="Pause").click()
    expect(page.locator("#hint")).to_contain_text("Paused.")


def saved(page: Page) -> list[dict[str, Any]]:
    """The result as JSON lines."""
    with page.expect_download() as download:
        page.get_by_role("button", name="JSON lines").click()
    return [json.loads(line) for line in download.value.path().read_text(encoding="utf-8").splitlines()]


def boxes(lines: list[dict[str, Any]], target_id: str) -> dict[int, list[float]]:
    """A target's box by frame."""
    return {
        line["frame_index"]: target["box"] for line in lines for target in line["targets"] if target["id"] == target_id
    }


def as_the_client_tracks(server: Server, path: Path, box: list[float]) -> list[list[float]]:
    """The boxes that the client library gets for the same file, frame 0 being the given one."""
    found = [box]
    with av.open(str(path)) as container, Client(server.url) as client, ExitStack() as stack:
        session = None
        for frame in container.decode(video=0):
            picture = frame.to_ndarray(format="bgr24")
            if session is None:
                session = stack.enter_context(client.start(picture, box))
            else:
                found.append(list(session.update(picture).targets[0].box))
    return found


@needs_browser
@pytest.mark.slow
@pytest.mark.timeout(400)
def test_every_frame_is_tracked_and_a_correction_changes_what_follows(
    page: Page, server: Server, tmp_path: Path
) -> None:
    open_page(page, server)
    path = open_clip(page, tmp_path, LONG)
    drag(page, SIZE, truth(0))
    given = shown_box(page, "1")
    expect(page.locator("body")).to_have_attribute("data-state", "ended", timeout=180_000)
    assert page.locator("#answered").inner_text() == str(LONG - 1)
    assert page.locator("#dropped").inner_text() == "0"
    before = saved(page)
    assert [line["frame_index"] for line in before] == list(range(LONG))
    expected = as_the_client_tracks(server, path, boxes(before, "1")[0])
    assert scene.overlap(given, expected[0]) > 0.9
    assert [k for k, box in boxes(before, "1").items() if scene.overlap(box, expected[k]) < 0.7] == []

    go_to(page, 40)
    pull(page, SIZE, centre(boxes(before, "1")[40]), centre(truth(40, SECOND)))
    expect_state(page, "paused")
    page.get_by_role("button", name="Go on").click()
    expect(page.locator("body")).to_have_attribute("data-state", "ended", timeout=180_000)
    after = saved(page)
    old, new = boxes(before, "1"), boxes(after, "1")
    assert list(new) == list(range(LONG))
    assert [k for k in range(40) if new[k] != old[k]] == []
    assert [k for k in range(41, LONG) if new[k] == old[k]] == []

    page.get_by_role("button", name="Undo").click()
    assert saved(page) == before


def centre(box: list[float]) -> tuple[float, float]:
    return box[0] + box[2] / 2, box[1] + box[3] / 2


@needs_browser
def test_a_target_added_on_a_paused_frame_leaves_the_others(
    page: Page, server: Server, client: httpx.Client, tmp_path: Path
) -> None:
    sessions = metric(client, "siamfc_sessions_active")
    open_page(page, server)
    open_clip(page, tmp_path, SHORT)
    drag(page, SIZE, truth(0))
    wait_for_answers(page, 3)
    pause(page)
    before = boxes(saved(page), "1")
    frame = int(page.locator("#timeline").get_attribute("aria-valuenow") or 0)
    page.get_by_role("button", name="Add target").click()
    drag(page, SIZE, truth(frame, SECOND))
    assert scene.overlap(shown_box(page, "2"), truth(frame, SECOND)) > 0.9
    page.get_by_role("button", name="Go on").click()
    expect_state(page, "ended")
    lines = saved(page)
    first, second = boxes(lines, "1"), boxes(lines, "2")
    assert {k: first[k] for k in before} == before
    assert list(first) == list(range(SHORT))
    assert list(second) == list(range(frame, SHORT))
    # One count a frame: neither was any frame sent twice for the first target.
    assert page.locator("#answered").inner_text() == str(SHORT - 1)
    assert metric(client, "siamfc_sessions_active") == sessions


@needs_browser
def test_a_correction_further_back_ends_at_the_next_given_box(page: Page, server: Server, tmp_path: Path) -> None:
    open_page(page, server)
    open_clip(page, tmp_path, SHORT)
    drag(page, SIZE, truth(0))
    expect_state(page, "ended")
    go_to(page, 16)
    pull(page, SIZE, centre(shown_box(page, "1")), centre(truth(16, SECOND)))
    page.get_by_role("button", name="Go on").click()
    expect_state(page, "ended")
    before = boxes(saved(page), "1")
    go_to(page, 8)
    pull(page, SIZE, centre(shown_box(page, "1")), centre(truth(8, SECOND)))
    page.get_by_role("button", name="Go on").click()
    expect_state(page, "ended")
    after = boxes(saved(page), "1")
    assert [k for k in range(SHORT) if after[k] != before[k]] == list(range(8, 16))


@needs_browser
def test_boxes_have_handles(page: Page, server: Server, tmp_path: Path) -> None:
    open_page(page, server)
    open_clip(page, tmp_path, SHORT)
    drag(page, SIZE, [40, 40, 60, 50])
    pause(page)
    go_to(page, 0)
    assert shown_box(page, "1") == pytest.approx([40, 40, 60, 50], abs=1)
    pull(page, SIZE, (100, 90), (120, 100))
    assert shown_box(page, "1") == pytest.approx([40, 40, 80, 60], abs=1)
    pull(page, SIZE, (40, 70), (30, 70))
    assert shown_box(page, "1") == pytest.approx([30, 40, 90, 60], abs=1)
    pull(page, SIZE, (80, 70), (90, 75))
    assert shown_box(page, "1") == pytest.approx([40, 45, 90, 60], abs=1)
    for expected in ([30, 40, 90, 60], [40, 40, 80, 60], [40, 40, 60, 50]):
        page.keyboard.press("Control+z")
        assert shown_box(page, "1") == pytest.approx(expected, abs=1)


@needs_browser
def test_names_and_colours(page: Page, server: Server, tmp_path: Path) -> None:
    open_page(page, server)
    open_clip(page, tmp_path, SHORT)
    drag(page, SIZE, truth(0))
    pause(page)
    name = page.get_by_label("Name of 1")
    name.fill("left <patch>")
    name.press("Enter")
    page.get_by_label("Colour of 1").fill("#123456")
    page.get_by_role("button", name="Add target").click()
    drag(page, SIZE, truth(0, SECOND))
    colours = [page.get_by_label(f"Colour of {number}").input_value() for number in (1, 2)]
    assert colours[0] == "#123456"
    assert colours[1] != colours[0]
    assert [target["name"] for target in saved(page)[0]["targets"]] == ["left <patch>", "2"]


@needs_browser
def test_starting_again_can_be_undone(page: Page, server: Server, tmp_path: Path) -> None:
    open_page(page, server)
    open_clip(page, tmp_path, SHORT)
    drag(page, SIZE, truth(0))
    expect_state(page, "ended")
    lines = saved(page)
    page.get_by_role("button", name="Start again").click()
    expect_state(page, "preview")
    expect(page.locator("#targets li")).to_have_count(0)
    page.get_by_role("button", name="Undo").click()
    expect(page.locator("#targets li")).to_have_count(1)
    assert saved(page) == lines


@needs_browser
def test_frames_are_stepped_and_played(page: Page, server: Server, tmp_path: Path) -> None:
    open_page(page, server)
    open_clip(page, tmp_path, SHORT)
    timeline = page.locator("#timeline")
    page.get_by_role("button", name="One frame on").click()
    expect(timeline).to_have_attribute("aria-valuenow", "1")
    page.locator("#overlay").focus()
    page.keyboard.press("Shift+ArrowRight")
    expect(timeline).to_have_attribute("aria-valuenow", "11")
    page.keyboard.press("ArrowLeft")
    expect(timeline).to_have_attribute("aria-valuenow", "10")
    bounds = timeline.bounding_box()
    assert bounds is not None
    page.mouse.click(bounds["x"] + bounds["width"] / 2, bounds["y"] + bounds["height"] / 2)
    expect(timeline).to_have_attribute("aria-valuenow", str(round((SHORT - 1) / 2)))
    expect(page.locator("#frame-time")).to_have_text("0:00.48 / 0:00.92")
    page.get_by_role("button", name="Play", exact=True).click()
    expect(timeline).to_have_attribute("aria-valuenow", str(SHORT - 1))
