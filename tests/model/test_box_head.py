"""Shape legend as in `model.box_head`."""

from __future__ import annotations

import pytest
import torch

from model.box_head import BoxHead, boxes_of, initialise_head, part_responses
from model.box_reading import OUTPUTS
from model.config import preset
from model.correlation import correlate
from tests.support.networks import TINY_HEAD, random_network


def parts_by_loop(exemplars: torch.Tensor, searches: torch.Tensor) -> torch.Tensor:
    """The plain form: at each displacement, what each exemplar cell says of the search cell it lies on."""
    b, _, e, _ = exemplars.shape
    cells = searches.shape[-1] - e + 1
    parts = torch.zeros(b, e * e, cells, cells)
    for i in range(e):
        for j in range(e):
            for row in range(cells):
                for column in range(cells):
                    product = exemplars[:, :, i, j] * searches[:, :, row + i, column + j]
                    parts[:, i * e + j, row, column] = product.sum(1)
    return parts


def test_part_responses_equal_the_plain_loop_and_add_up_to_the_response() -> None:
    exemplars, searches = torch.randn(2, 8, 3, 3), torch.randn(2, 8, 7, 7)
    parts = part_responses(exemplars, searches)
    torch.testing.assert_close(parts, parts_by_loop(exemplars, searches), rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(parts.sum(1, keepdim=True), correlate(exemplars, searches), rtol=1e-5, atol=1e-5)


def test_a_fresh_head_says_the_exemplars_own_box_at_every_cell() -> None:
    head = BoxHead(TINY_HEAD, TINY_HEAD.head)  # type: ignore[arg-type]
    initialise_head(head, torch.Generator().manual_seed(0))
    head.out.weight.data.zero_()
    shapes = torch.tensor([[40.0, 80.0]])
    outputs = head.eval()(torch.randn(1, 16, 13, 13), torch.randn(1, 8, 16, 16), shapes)
    assert outputs.shape == (1, OUTPUTS, 13, 13)
    boxes = boxes_of(outputs, shapes, 16)
    assert torch.equal(boxes[0, 2:, 5, 7], shapes[0])
    assert boxes[0, :2, 5, 7].tolist() == [16.0, -16.0]


@pytest.mark.parametrize(
    ("outputs", "expected"),
    [
        pytest.param((0.0, 0.0, 0.0, 0.0), (0.0, 0.0, 40.0, 80.0), id="as the exemplar"),
        pytest.param((0.5, -0.25, 0.0, 0.0), (8.0, -4.0, 40.0, 80.0), id="offsets are in strides"),
        pytest.param((0.0, 0.0, 0.6931472, -0.6931472), (0.0, 0.0, 80.0, 40.0), id="sizes are log ratios"),
        pytest.param((0.0, 0.0, 99.0, -99.0), (0.0, 0.0, 40 * 20.0855, 80 / 20.0855), id="held within e to the 3"),
    ],
)
def test_what_the_outputs_mean(outputs: tuple[float, ...], expected: tuple[float, ...]) -> None:
    """At the middle cell of a map of 3 cells."""
    maps = torch.zeros(1, 5, 3, 3)
    maps[0, :4, 1, 1] = torch.tensor(outputs)
    boxes = boxes_of(maps, torch.tensor([[40.0, 80.0]]), 16)
    assert boxes[0, :, 1, 1].tolist() == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("shift", [(1, 0), (0, -2), (2, 1)], ids=str)
def test_a_target_moved_by_a_stride_moves_the_response_by_a_cell(shift: tuple[int, int]) -> None:
    """Layers are padded, so this holds only inside: the same picture, rolled, around the middle of a plain ground."""
    config = preset("swift")
    network = random_network(config)
    picture = torch.zeros(1, 3, 255, 255)
    picture[..., 96:160, 96:160] = torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(3))
    exemplars = network.embed_exemplars(picture[..., 64:191, 64:191])
    (dx, dy), stride = shift, config.stride
    moved = torch.roll(picture, (dy * stride, dx * stride), dims=(2, 3))
    still, shifted = (network.respond(exemplars, network.embed(each))[0, 0] for each in (picture, moved))

    def place(response: torch.Tensor) -> tuple[int, int]:
        row, column = divmod(int(response.argmax()), response.shape[-1])
        return row, column

    row, column = place(still)
    assert place(shifted) == (row + dy, column + dx)
