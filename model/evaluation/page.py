"""One HTML file that shows a report: means, plots, a row a sequence, its worst frames pictured. Nothing outside it."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from pathlib import Path

import numpy as np

from model.arrays import Float64
from model.evaluation.one_pass import Report, Run
from model.evaluation.worst import LineColour, overlap_by_frame, picture, worst_frames
from model.files import write_text

_TRUTH: LineColour = (60, 220, 60)
_OURS: LineColour = (255, 70, 60)
_OTHERS: tuple[LineColour, ...] = ((70, 150, 255), (255, 190, 40), (200, 90, 255), (60, 220, 220), (255, 130, 200))

_STYLE = """
:root { color-scheme: light dark; }
body { font: 15px/1.45 system-ui, sans-serif; max-width: 72rem; margin: 2rem auto; padding: 0 1rem; }
table { border-collapse: collapse; width: 100%; }
th, td { padding: .3rem .6rem; text-align: right; border-bottom: 1px solid #8884; font-variant-numeric: tabular-nums; }
th:first-child, td:first-child { text-align: left; }
figure { display: inline-block; margin: .4rem .8rem .8rem 0; }
figcaption { font-size: .85rem; opacity: .8; }
img { max-width: 100%; border-radius: 3px; }
figure img { width: 20rem; }
.plots img { background: #fff; }
.key span { display: inline-block; width: .9em; height: .9em; border-radius: 2px; margin: 0 .3em 0 1em; }
svg { display: block; width: 100%; height: 3.5rem; background: #8881; }
.scroll { overflow-x: auto; }
"""


def write_page(
    path: Path,
    report: Report,
    plots: Sequence[Path] = (),
    name: str = "siamfc",
    others: Mapping[str, Report] | None = None,
    pictures: int = 3,
) -> Path:
    """Write the report as one HTML file with every picture inside it; returns `path`.

    plots: PNG files to show. others: further trackers' reports on the same sequences, side by side. pictures: worst
    frames a sequence. Sequences come worst first. Raises ModelError for a frame that is no image.
    """
    rivals = dict(others or {})
    runs = sorted(range(len(report.runs)), key=lambda index: report.runs[index].score.auc)
    parts = [
        f"<!doctype html><html lang=en><meta charset=utf-8><title>{escape(name)}: one-pass evaluation</title>",
        f"<meta name=viewport content='width=device-width'><style>{_STYLE}</style>",
        f"<h1>{escape(name)}: one-pass evaluation over {len(runs)} sequences</h1>",
        *_means({name: report, **rivals}),
        "<div class=plots>",
        *(f"<figure><img alt='{escape(plot.stem)}' src='{_png(plot)}'></figure>" for plot in plots),
        "</div>",
        "<h2>Sequences, worst first</h2>",
        *_rows(report, runs, rivals),
        "<h2>Worst frames</h2>",
        _key(name, rivals),
    ]
    for index in runs:
        parts += _sequence(report.runs[index], {each: rivals[each].runs[index] for each in rivals}, pictures)
    write_text(path, "\n".join(parts) + "\n")
    return path


def _means(reports: Mapping[str, Report]) -> Iterator[str]:
    columns = list(next(iter(reports.values())).mean())
    yield _table_head("tracker", [*columns, "ece", "auroc"])
    for name, report in reports.items():
        worth, mean = report.reliability(), report.mean()
        numbers = [*mean.values(), worth.ece if worth else None, worth.auroc if worth else None]
        yield _row(name, numbers, columns)
    yield "</table></div>"


def _rows(report: Report, order: Sequence[int], others: Mapping[str, Report]) -> Iterator[str]:
    columns = list(report.mean())
    yield _table_head("sequence", ["frames", *columns, *(f"auc {each}" for each in others)])
    for index in order:
        run = report.runs[index]
        numbers = [*run.numbers().values(), *(others[each].runs[index].score.auc for each in others)]
        yield _row(run.sequence.name, numbers, columns, f"<td>{len(run.sequence.frames)}</td>")
    yield "</table></div>"


def _table_head(first: str, columns: Sequence[str]) -> str:
    return (
        f"<div class=scroll><table><tr><th>{first}</th>{''.join(f'<th>{escape(each)}</th>' for each in columns)}</tr>"
    )


def _row(name: str, numbers: Sequence[float | None], columns: Sequence[str], between: str = "") -> str:
    """A table row; the number under `fps` has one decimal, the others three."""
    speed = columns.index("fps")
    texts = [
        "–" if number is None else f"{number:.{1 if index == speed else 3}f}" for index, number in enumerate(numbers)
    ]
    return f"<tr><td>{escape(name)}</td>{between}{''.join(f'<td>{text}</td>' for text in texts)}</tr>"


def _key(name: str, others: Mapping[str, Report]) -> str:
    entries = [("truth", _TRUTH), (name, _OURS), *zip(others, _cycle(len(others)), strict=True)]
    boxes = (f"<span style='background:{_css(colour)}'></span>{escape(each)}" for each, colour in entries)
    strip = "Strips: overlap by frame; the score dotted; gaps where the target is absent."
    return f"<p class=key>Boxes: {' '.join(boxes)}.<br>{strip}</p>"


def _sequence(run: Run, others: Mapping[str, Run], count: int) -> Iterator[str]:
    overlap = overlap_by_frame(run)
    yield f"<section><h3>{escape(run.sequence.name)}: AUC {run.score.auc:.3f}</h3>"
    yield _strip(overlap, run.scores)
    for index in worst_frames(run, count):
        boxes: list[tuple[Float64, LineColour]] = [(run.sequence.truth[index], _TRUTH)]
        boxes += [
            (each.boxes[index], colour) for each, colour in zip(others.values(), _cycle(len(others)), strict=True)
        ]
        boxes.append((run.boxes[index], _OURS))
        data = base64.b64encode(picture(run.sequence.frames[index], boxes)).decode()
        score = "" if np.isnan(run.scores[index]) else f", score {run.scores[index]:.2f}"
        caption = f"frame {index}, overlap {overlap[index]:.2f}{score}"
        image = f"<img alt='{caption}' src='data:image/jpeg;base64,{data}'>"
        yield f"<figure>{image}<figcaption>{caption}</figcaption></figure>"
    yield "</section>"


def _strip(overlap: Float64, scores: Float64) -> str:
    """Overlap and score by frame as an inline drawing, 0 at the bottom and 1 at the top."""
    lines = [
        *(f"<path d='{each}' fill=none stroke='{_css(_OURS)}' stroke-width=1.5 />" for each in _segments(overlap)),
        *(f"<path d='{each}' fill=none stroke=gray stroke-dasharray='2 3' />" for each in _segments(scores)),
    ]
    lines = [line.replace(" />", " vector-effect=non-scaling-stroke />") for line in lines]
    return f"<svg viewBox='0 -0.03 {max(len(overlap) - 1, 1)} 1.06' preserveAspectRatio=none>{''.join(lines)}</svg>"


def _segments(values: Float64) -> Iterator[str]:
    """One path an unbroken stretch of numbers."""
    stretch: list[str] = []
    for index, value in enumerate([*values.tolist(), np.nan]):
        if not np.isnan(value):
            stretch.append(f"{index} {1 - value:.3f}")
        elif stretch:
            yield "M" + " L".join(stretch)
            stretch = []


def _cycle(count: int) -> list[LineColour]:
    return [_OTHERS[index % len(_OTHERS)] for index in range(count)]


def _css(colour: LineColour) -> str:
    return f"rgb({colour[0]} {colour[1]} {colour[2]})"


def _png(path: Path) -> str:
    return f"data:image/png;base64,{base64.b64encode(path.read_bytes()).decode()}"
