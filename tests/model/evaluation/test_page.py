from __future__ import annotations

import base64
import re
from html.parser import HTMLParser
from pathlib import Path

import cv2
import numpy as np
import pytest

from model.evaluation.one_pass import Report
from model.evaluation.page import write_page
from model.evaluation.plots import write_plots

VOID = {"meta", "img", "br"}


class Parsed(HTMLParser):
    """The page's pictures, links and tables; AssertionError where a tag is closed that is not open."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.images: list[str] = []
        self.links: list[str] = []
        self.rows: list[list[str]] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        self.links += [values[name] for name in ("href", "src", "action", "data") if name in values]
        if tag == "img":
            self.images.append(values["src"])
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag == "path"

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] in ("td", "th"):
            self.rows[-1][-1] += data


@pytest.fixture(scope="module")
def text(report: Report, scoreless: Report, tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("page")
    plots = write_plots(report, folder, "ours", {"mil": scoreless})
    return write_page(folder / "report.html", report, plots, "ours", {"mil": scoreless}).read_text()


def test_everything_is_inside_the_page(text: str) -> None:
    page = Parsed(text)
    assert page.links
    assert all(link.startswith(("data:image/png;base64,", "data:image/jpeg;base64,")) for link in page.links)
    assert not re.search(r"https?://|@import|url\(", text)
    assert page.open == ["html"]


def test_the_pictures_are_the_plots_and_the_worst_frames(text: str) -> None:
    kinds = [image.partition(";")[0] for image in Parsed(text).images]
    # 8 frames have no two that are ten apart; 16 have one pair.
    assert kinds.count("data:image/png") == 3
    assert 2 <= kinds.count("data:image/jpeg") <= 4
    for image in Parsed(text).images:
        data = np.frombuffer(base64.b64decode(image.partition(",")[2]), np.uint8)
        assert cv2.imdecode(data, cv2.IMREAD_COLOR) is not None


def test_a_row_a_tracker_and_a_row_a_sequence(text: str, report: Report, scoreless: Report) -> None:
    rows = Parsed(text).rows
    mean, worth = report.mean(), report.reliability()
    assert worth is not None
    assert rows[0] == ["tracker", *mean, "ece", "auroc"]
    assert [row[0] for row in rows[1:3]] == ["ours", "mil"]
    assert rows[1][1] == f"{mean['auc']:.3f}"
    assert rows[1][-2:] == [f"{worth.ece:.3f}", f"{worth.auroc:.3f}"]
    assert rows[2][-2:] == ["–", "–"]
    assert rows[3] == ["sequence", "frames", *mean, "auc mil"]
    by_auc = sorted(range(2), key=lambda index: report.runs[index].score.auc)
    assert [row[0] for row in rows[4:]] == [report.runs[index].sequence.name for index in by_auc]
    assert [row[-1] for row in rows[4:]] == [f"{scoreless.runs[index].score.auc:.3f}" for index in by_auc]


def test_names_cannot_break_the_page(report: Report, scoreless: Report, tmp_path: Path) -> None:
    path = write_page(tmp_path / "r.html", report, (), "<b>&'", {'"><script>': scoreless}, pictures=0)
    text = path.read_text()
    assert "<script" not in text
    assert "<b>" not in text
    Parsed(text)
