from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch

from model.data.records import Member
from model.training.image_pool import ImagePool, image_part
from tests.model.conftest import Gallery
from tests.support.scenes import photograph

CPU = torch.device("cpu")
IMAGE, OTHER = Member("image"), Member("other")


def pool(capacity: int = 2**20, **images: np.ndarray) -> ImagePool:
    return ImagePool(Gallery(**images), CPU, capacity)  # type: ignore[arg-type]


def grid(matrix: np.ndarray, side: int) -> tuple[torch.Tensor, torch.Tensor]:
    line = np.arange(side)
    x = matrix[0, 0] * line[None, :] + matrix[0, 1] * line[:, None] + matrix[0, 2]
    y = matrix[1, 0] * line[None, :] + matrix[1, 1] * line[:, None] + matrix[1, 2]
    return torch.from_numpy(x).float()[None], torch.from_numpy(y).float()[None]


@pytest.mark.parametrize("border", ["constant", "mirror"])
def test_reading_is_opencv_s_bilinear_warp(border: str) -> None:
    image = photograph("chelsea", 90)
    held = pool(image=image)
    resident = held.resident(IMAGE)
    matrix = np.array([[1.3, -0.4, -20.3], [0.35, 1.2, -11.9]])
    view = image_part(resident.levels[0], (0, 0, *resident.size), 3, resident.colour)
    found = held.read([view], *grid(matrix, 80), 3, border)[0].permute(1, 2, 0).numpy()  # type: ignore[arg-type]
    expected = cv2.warpAffine(
        image,
        matrix,
        (80, 80),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REFLECT_101 if border == "mirror" else cv2.BORDER_CONSTANT,
        borderValue=(*resident.colour, 0.0),
    )
    difference = np.abs(found - expected)
    # OpenCV reads at 1/32 of a pixel and rounds.
    assert difference.mean() < 1
    assert np.quantile(difference, 0.999) < 8


def test_a_window_of_an_image_ends_where_it_says() -> None:
    image = np.zeros((40, 50, 3), np.uint8)
    image[10:20, 15:30] = 200
    held = pool(image=image)
    level = held.resident(IMAGE).levels[0]
    view = image_part(level, (15, 10, 30, 20), 3, (7.0, 8.0, 9.0))
    found = held.read([view], *grid(np.array([[1.0, 0, -5], [0, 1.0, -5]]), 25), 3, "constant")[0]
    assert (found[:, 5:15, 5:20] == 200).all()
    assert found[:, 0, 0].tolist() == [7, 8, 9]
    assert found[:, 20, 22].tolist() == [7, 8, 9]


def test_images_of_several_sizes_are_read_in_one_call() -> None:
    held = pool(image=np.full((20, 30, 3), 10, np.uint8), other=np.full((50, 17, 3), 20, np.uint8))
    residents = [held.resident(member) for member in (IMAGE, OTHER)]
    views = [image_part(each.levels[0], (0, 0, *each.size), 3, each.colour) for each in residents]
    x, y = grid(np.array([[1.0, 0, 2], [0, 1.0, 2]]), 8)
    found = held.read(views, x.expand(2, -1, -1), y.expand(2, -1, -1), 3, "constant")
    assert (found[0] == 10).all()
    assert (found[1] == 20).all()


@pytest.mark.parametrize(
    ("shrink", "level"),
    [(0.5, 0), (2.0, 0), (2.1, 1), (4.5, 2), (100.0, 3)],
)
def test_the_copy_that_is_read_is_not_coarser_than_what_is_shown(shrink: float, level: int) -> None:
    resident = pool(image=photograph("coffee", 300)).resident(IMAGE)
    assert resident.level(shrink) == level
    assert [each.width for each in resident.levels] == [300, 150, 75, 37]


def test_the_mean_colour_and_the_weighting_by_alpha() -> None:
    cutout = np.full((20, 20, 4), 100, np.uint8)
    cutout[:10, :, 3], cutout[10:, :, 3] = 0, 255
    held = pool(image=np.full((20, 20, 3), (1, 2, 3), np.uint8), other=cutout)
    assert held.resident(IMAGE).colour == (1, 2, 3)
    resident = held.resident(OTHER, 4)
    view = image_part(resident.levels[0], (0, 0, 20, 20), 4, resident.colour)
    found = held.read([view], *grid(np.array([[1.0, 0, 0], [0, 1.0, 0]]), 20), 4, "constant")[0]
    assert (found[:, :10] == 0).all()
    assert found[:, 15, 15].tolist() == [100, 100, 100, 255]


def test_an_image_is_brought_once_and_the_arena_begins_anew_when_full() -> None:
    images = {"image": np.zeros((40, 40, 3), np.uint8), "other": np.zeros((40, 40, 3), np.uint8)}
    held = pool(14_000, **images)
    held.size(IMAGE)
    once = held.used
    assert once == 3 * (40**2 + 20**2 + 10**2)  # it ends at copies of less than 16 px
    held.size(IMAGE)
    assert held.used == once
    held.reserve(once)
    assert held.used == once
    held.size(OTHER)
    held.reserve(once)
    assert held.used == 0
    with pytest.raises(MemoryError, match="does not hold"):
        pool(5000, **images).size(IMAGE)
