"""TensorBoard: a run's scalars, and pictures of a pair and its map."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray
from tensorboardX import SummaryWriter  # type: ignore[import-untyped]

from model.arrays import RgbImage


class Board(Protocol):
    """Takes a step's scalars and pictures (uint8 [height, width, 3] RGB)."""

    def scalars(self, step: int, values: dict[str, float]) -> None: ...

    def picture(self, step: int, name: str, pixels: RgbImage) -> None: ...


class _TensorBoard:
    def __init__(self, writer: Any) -> None:
        self._writer = writer

    def scalars(self, step: int, values: dict[str, float]) -> None:
        for name, value in values.items():
            self._writer.add_scalar(name, value, step)
        self._writer.flush()

    def picture(self, step: int, name: str, pixels: RgbImage) -> None:
        self._writer.add_image(name, pixels, step, dataformats="HWC")


@contextmanager
def tensorboard(folder: Path, step: int) -> Iterator[Board]:
    """Event files in `folder`; an earlier run's events after `step` are marked as void."""
    with SummaryWriter(str(folder), purge_step=step + 1) as writer:
        yield _TensorBoard(writer)


def beside(exemplar: RgbImage, search: RgbImage, logits: NDArray[np.float32]) -> RgbImage:
    """Exemplar [e, e, 3], search region [s, s, 3] and map [S, S], one picture of height s.

    The map's middle is a displacement of zero.
    """
    side = search.shape[0]
    left = np.zeros((side, exemplar.shape[1], 3), np.uint8)
    left[: exemplar.shape[0]] = exemplar
    heat = 255 / (1 + np.exp(-np.clip(logits, -30, 30)))
    large = cv2.resize(heat.astype(np.uint8), (side, side), interpolation=cv2.INTER_NEAREST)
    coloured = cv2.cvtColor(cv2.applyColorMap(large, cv2.COLORMAP_VIRIDIS), cv2.COLOR_BGR2RGB)
    return np.asarray(np.hstack([left, search, coloured]), np.uint8)
