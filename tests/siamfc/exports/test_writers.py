"""What formats share: labels and numbers."""

from __future__ import annotations

import pytest

from siamfc import Target
from siamfc.exports.writers import Numbers, label_of, rounded


@pytest.mark.parametrize(
    ("target_id", "label"),
    [
        pytest.param("0", "target", id="a server's own id"),
        pytest.param("12", "target", id="two digits"),
        pytest.param("cup", "cup", id="a name"),
        pytest.param("cup 2", "cup 2", id="a name with a number"),
    ],
)
def test_a_label_is_a_name(target_id: str, label: str) -> None:
    assert label_of(Target(target_id, (1, 2, 3, 4), 1.0, "tracking")) == label


def test_numbers_count_from_one_in_the_order_of_coming() -> None:
    numbers = Numbers()
    assert [numbers.of(word) for word in ("b", "a", "b")] == [1, 2, 1]
    assert numbers.words() == ["b", "a"]


def test_numbers_are_rounded() -> None:
    assert rounded(1.006, 2) == [1.01, 2]
