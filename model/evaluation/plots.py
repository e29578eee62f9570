"""Success, precision and reliability plots of a report. Needs matplotlib (the extra `train`).

Success and precision as in Wu et al. 2013; the reliability diagram as in Naeini et al. 2015.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from model.arrays import Float64
from model.errors import ModelError
from model.evaluation.metrics import (
    ERROR_THRESHOLDS,
    OVERLAP_THRESHOLDS,
    center_errors,
    overlaps,
    precision_curve,
    success_curve,
)
from model.evaluation.one_pass import Report, Run
from model.evaluation.reliability import Reliability
from model.files import replacing

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FILES = ("success.png", "precision.png", "reliability.png")


def write_plots(
    report: Report, folder: Path, name: str = "siamfc", others: Mapping[str, Report] | None = None
) -> tuple[Path, ...]:
    """Write `success.png`, `precision.png` and, where there are scores, `reliability.png` into `folder`.

    The folder is made if need be; returns the paths. Thin lines are the report's sequences, the thick one their mean;
    `others` are further trackers' reports on the same sequences, whose means are drawn beside it. Raises ModelError
    where matplotlib is not installed.
    """
    check_matplotlib()
    folder.mkdir(parents=True, exist_ok=True)
    reports = {name: report, **(others or {})}
    success = {each: [success_curve(_overlaps(run)) for run in reports[each].runs] for each in reports}
    precision = {each: [precision_curve(_errors(run)) for run in reports[each].runs] for each in reports}
    count, mean = len(report.runs), report.mean()
    paths = [
        _draw_curves(
            folder / FILES[0],
            f"Success: AUC {mean['auc']:.3f} over {count} sequences",
            OVERLAP_THRESHOLDS,
            success,
            {each: f"{each} [{np.mean(success[each]):.3f}]" for each in reports},
            ("overlap threshold", "share of frames above it"),
        ),
        _draw_curves(
            folder / FILES[1],
            f"Precision: {mean['precision_20']:.3f} at 20 px over {count} sequences",
            ERROR_THRESHOLDS,
            precision,
            {each: f"{each} [{np.mean(precision[each], axis=0)[20]:.3f}]" for each in reports},
            ("centre error threshold (px)", "share of frames within it"),
        ),
    ]
    worth = report.reliability()
    if worth is not None:
        paths.append(_draw_reliability(folder / FILES[2], worth))
    return tuple(paths)


def check_matplotlib() -> None:
    """Raises ModelError, saying what to install, where matplotlib is missing."""
    try:
        import matplotlib.backends.backend_agg
        import matplotlib.figure  # noqa: F401 - only whether they are there
    except ImportError:
        raise ModelError("plots need matplotlib; install the extra: pip install 'siamfc-service[train]'") from None


def _draw_curves(
    path: Path,
    title: str,
    x: tuple[float, ...],
    curves: Mapping[str, list[Float64]],
    legends: Mapping[str, str],
    labels: tuple[str, str],
) -> Path:
    def draw(axes: Axes) -> None:
        first = next(iter(curves))
        for line in curves[first]:
            axes.plot(x, line, color="0.85", linewidth=0.8)
        for index, (name, lines) in enumerate(curves.items()):
            color = "tab:red" if index == 0 else f"C{index - 1 if index < 4 else index}"  # C3 is the red
            width = 2.5 if index == 0 else 1.8
            axes.plot(x, np.mean(lines, axis=0), color=color, linewidth=width, label=legends[name])
        axes.set(title=title, xlabel=labels[0], ylabel=labels[1], xlim=(x[0], x[-1]), ylim=(0, 1))
        if len(curves) > 1:
            axes.legend(loc="best", fontsize="small")

    return _save(path, draw)


def _draw_reliability(path: Path, worth: Reliability) -> Path:
    filled = [each for each in worth.bins if each.count]
    middles = [(each.low + each.high) / 2 for each in worth.bins]
    width = 0.9 * (worth.bins[0].high - worth.bins[0].low)

    def draw(axes: Axes) -> None:
        axes.bar(middles, [each.count / worth.frames for each in worth.bins], width, color="0.85", label="frames")
        axes.plot([0, 1], [0, 1], color="0.5", linewidth=1, linestyle="--")
        axes.plot(
            [each.score or 0.0 for each in filled],
            [each.right or 0.0 for each in filled],
            color="tab:red",
            marker="o",
            label="right boxes",
        )
        auroc = "undefined" if worth.auroc is None else f"{worth.auroc:.3f}"
        axes.set(
            title=f"Score: calibration error {worth.ece:.3f}, AUROC {auroc}",
            xlabel="score",
            ylabel="share with IoU of at least 0.5; share of frames",
            xlim=(0, 1),
            ylim=(0, 1),
        )
        axes.legend(loc="upper left", fontsize="small")

    return _save(path, draw)


def _save(path: Path, draw: Callable[[Axes], None]) -> Path:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 4.5), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    draw(axes)
    axes.grid(alpha=0.3)
    with replacing(path) as partial:
        figure.savefig(partial, dpi=120, format="png")
    return path


def _overlaps(run: Run) -> Float64:
    return overlaps(run.boxes, run.sequence.truth)


def _errors(run: Run) -> Float64:
    return center_errors(run.boxes, run.sequence.truth)
