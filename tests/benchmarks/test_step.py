"""The benchmark of one step: its table, and that the plain loop it is held against really tracks."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from benchmarks import step
from model.boxes import Box, iou
from model.checkpoints import bundled_weights, load_weights
from tests.support.scenes import translation

ROWS: list[dict[str, Any]] = [
    {"network": "paper", "runtime": "plain loop", "precision": "fp32", "ms_a_frame": 90, "times_the_plain_loop": 1},
    {"network": "paper", "runtime": "torch", "precision": "bf16", "ms_a_frame": 45.25, "times_the_plain_loop": 1.99},
]


def test_the_table_has_a_header_and_a_row_for_each() -> None:
    assert step.table({"rows": ROWS}) == [
        ["network", "runtime", "precision", "ms a frame", "times the plain loop"],
        ["paper", "plain loop", "fp32", "90.0", "1.00"],
        ["paper", "torch", "bf16", "45.2", "1.99"],
    ]


@pytest.mark.slow
def test_the_plain_loop_follows_the_target() -> None:
    scene = translation(8)
    update = step._plain(load_weights(bundled_weights("paper")), scene, Box(*scene.truth[0]))
    for frame in scene.frames[1:]:
        center: Any = update(frame)
    size = scene.truth[-1, 2:]
    found = np.concatenate([center - size / 2, size])
    assert iou(found[None], scene.truth[-1:])[0] > 0.6
