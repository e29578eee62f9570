"""Success and precision plots of a report, as in Wu et al. 2013. Needs matplotlib (the extra `train`)."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from model.boxes import FloatArray
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


def write_plots(report: Report, folder: Path) -> tuple[Path, Path]:
    """Write `success.png` and `precision.png` into `folder`, which is made if need be; returns their paths.

    Thin lines are sequences, the thick one their mean. Raises ModelError where matplotlib is not installed.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError:
        raise ModelError("plots need matplotlib; install the extra: pip install 'siamfc-service[train]'") from None

    def draw(path: Path, title: str, x: tuple[float, ...], curves: list[FloatArray], labels: tuple[str, str]) -> Path:
        figure = Figure(figsize=(6, 4.5), layout="constrained")
        FigureCanvasAgg(figure)
        axes = figure.add_subplot()
        for line in curves:
            axes.plot(x, line, color="0.8", linewidth=0.8)
        axes.plot(x, np.mean(curves, axis=0), color="tab:red", linewidth=2.5)
        axes.set(title=title, xlabel=labels[0], ylabel=labels[1], xlim=(x[0], x[-1]), ylim=(0, 1))
        axes.grid(alpha=0.3)
        figure.savefig(path, dpi=120)
        return path

    folder.mkdir(parents=True, exist_ok=True)
    mean, count = report.mean(), len(report.runs)
    return (
        draw(
            folder / "success.png",
            f"Success: AUC {mean['auc']:.3f} over {count} sequences",
            OVERLAP_THRESHOLDS,
            [success_curve(_overlaps(run)) for run in report.runs],
            ("overlap threshold", "share of frames above it"),
        ),
        draw(
            folder / "precision.png",
            f"Precision: {mean['precision_20']:.3f} at 20 px over {count} sequences",
            ERROR_THRESHOLDS,
            [precision_curve(_errors(run)) for run in report.runs],
            ("centre error threshold (px)", "share of frames within it"),
        ),
    )


def _overlaps(run: Run) -> FloatArray:
    return overlaps(run.boxes, run.sequence.truth)


def _errors(run: Run) -> FloatArray:
    return center_errors(run.boxes, run.sequence.truth)
