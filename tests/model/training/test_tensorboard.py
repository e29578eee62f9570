from __future__ import annotations

import struct
from pathlib import Path

import numpy as np

from model.training.tensorboard import beside, tensorboard


def events(folder: Path) -> list[bytes]:
    """The records of the folder's event files: length, its checksum, data, its checksum (TFRecord)."""
    found = []
    for path in sorted(folder.iterdir()):
        data, place = path.read_bytes(), 0
        while place < len(data):
            (length,) = struct.unpack_from("<Q", data, place)
            found.append(data[place + 12 : place + 12 + length])
            place += 12 + length + 4
    return found


def test_scalars_and_pictures_are_written(tmp_path: Path) -> None:
    with tensorboard(tmp_path, 0) as board:
        board.scalars(5, {"train/loss": 1.5})
        board.picture(5, "validation/pair", np.zeros((8, 9, 3), np.uint8))
    scalar = next(event for event in events(tmp_path) if b"train/loss" in event)
    assert struct.pack("<f", 1.5) in scalar
    picture = next(event for event in events(tmp_path) if b"validation/pair" in event)
    assert b"\x89PNG" in picture


def test_the_three_pictures_stand_beside_one_another() -> None:
    logits = np.full((17, 17), -8, np.float32)
    logits[8, 8] = 8
    exemplar, search = np.full((127, 127, 3), 10, np.uint8), np.full((255, 255, 3), 20, np.uint8)
    found = beside(exemplar, search, logits)
    assert found.shape == (255, 127 + 255 + 255, 3)
    assert (found[:127, :127] == 10).all()
    assert (found[:, 127:382] == 20).all()
    # The map's peak is bright yellow in the middle of it, all else dark.
    middle, edge = found[127, 382 + 127].astype(int), found[20, 382 + 20].astype(int)
    assert middle.sum() > 2 * edge.sum()
    assert middle[0] > middle[2]
