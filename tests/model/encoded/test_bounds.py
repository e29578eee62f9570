from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.encoded.bounds import MAX_PASSES, MAX_SIDE, Kept, check_size, most_blocks
from model.errors import ImageTooLargeError, InvalidImageError


@pytest.mark.parametrize(
    ("width", "height", "most", "error"),
    [
        pytest.param(0, 5, None, InvalidImageError, id="no columns"),
        pytest.param(5, 0, None, InvalidImageError, id="no rows"),
        pytest.param(10, 11, 109, ImageTooLargeError, id="a pixel too many"),
        pytest.param(MAX_SIDE + 1, 1, None, ImageTooLargeError, id="too wide"),
        pytest.param(1, MAX_SIDE + 1, None, ImageTooLargeError, id="too high"),
    ],
)
def test_sizes_that_are_refused(width: int, height: int, most: int | None, error: type[Exception]) -> None:
    with pytest.raises(error):
        check_size(width, height, most)


@pytest.mark.parametrize(("width", "height", "most"), [(10, 11, 110), (MAX_SIDE, 1, None), (1, 1, 1)])
def test_sizes_that_are_taken(width: int, height: int, most: int | None) -> None:
    check_size(width, height, most)


@pytest.mark.parametrize(
    ("pixels", "most", "expected"),
    [
        pytest.param(640, 64_000, MAX_PASSES * 1_000, id="as for the largest that is allowed"),
        pytest.param(640, None, MAX_PASSES * 4096 * 64, id="without a limit: as for a large one"),
        pytest.param(2**26, None, MAX_PASSES * 2**20, id="without a limit: as for itself, if it is larger"),
    ],
)
def test_how_many_blocks_scans_may_code(pixels: int, most: int | None, expected: int) -> None:
    assert most_blocks(pixels, most) == expected


@given(st.binary(max_size=40), st.lists(st.integers(0, 40), max_size=8))
def test_kept_parts_are_joined_in_their_order(data: bytes, cuts: list[int]) -> None:
    ends = sorted(min(cut, len(data)) for cut in cuts)
    spans = list(zip([0, *ends], [*ends, len(data)], strict=True))[::2]
    kept = Kept(data)
    for start, end in spans:
        kept.add(start, end)
    assert kept.joined(b"end") == b"".join(data[start:end] for start, end in spans) + b"end"


def test_what_is_kept_whole_is_not_copied() -> None:
    data = b"abcdef"
    kept = Kept(data)
    kept.add(0, 2)
    kept.add(2, 6)
    assert kept.joined() is data
