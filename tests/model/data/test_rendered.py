from __future__ import annotations

import numpy as np
import pytest

from model.data.rendered import Place, along, detail, photograph, render
from model.errors import ModelError

GREY = np.full((40, 60, 3), 100, np.uint8)
WHITE = np.full((10, 10, 3), 255, np.uint8)
BLACK = np.zeros((20, 20, 3), np.uint8)


@pytest.mark.parametrize(
    ("place", "over", "share"),
    [
        pytest.param(Place(30, 20), None, 1.0, id="in the middle"),
        pytest.param(Place(0, 20), None, 0.5, id="half out on the left"),
        pytest.param(Place(60, 40), None, 0.25, id="a quarter in the corner"),
        pytest.param(Place(65, 20), None, 0.0, id="just out"),
        pytest.param(Place(-500, 20), None, 0.0, id="far out"),
        pytest.param(Place(30, 20), Place(30, 20), 0.0, id="wholly covered"),
        pytest.param(Place(30, 20), Place(40, 20), 0.5, id="half covered"),
        pytest.param(Place(30, 20), Place(5, 20), 1.0, id="an occluder elsewhere"),
        pytest.param(Place(0, 20), Place(-5, 20), 0.0, id="half out, the rest covered"),
        pytest.param(Place(0, 20), Place(0, 30), 0.25, id="half out, half of the rest covered"),
        pytest.param(Place(30.3, 20.7, 1.3), Place(30.1, 20.2), 0.0, id="covered between pixels"),
    ],
)
def test_how_much_can_be_seen(place: Place, over: Place | None, share: float) -> None:
    scene = render(GREY, WHITE, [place], BLACK, [over])
    assert scene.visible.tolist() == [pytest.approx(share)]
    assert scene.present.tolist() == [share > 0]
    assert np.isfinite(scene.truth).all() == (share > 0)
    # And what can be seen is what the frame shows: white on grey, under black.
    white = (scene.frames[0].astype(float) - 100).clip(0).sum() / (3 * 155)
    assert white == pytest.approx(share * 100 * place.scale**2, abs=0.5)


def test_the_box_is_where_the_target_was_put() -> None:
    scene = render(GREY, WHITE, along(lambda t: Place(20 + 10 * t, 15, 1 + t), 2))
    assert scene.truth.tolist() == [[15, 10, 10, 10], [20, 5, 20, 20]]
    assert scene.size == (60, 40)


def test_a_detail_is_cut_and_resized() -> None:
    image = np.zeros((20, 20, 3), np.uint8)
    image[5:10, 8:18] = 200
    assert (detail(image, (8, 5, 10, 5), (4, 2)) == 200).all()


def test_photographs_are_read_once_and_not_to_be_written_to() -> None:
    image = photograph("chelsea", 100)
    assert image.shape[1] == 100
    assert photograph("chelsea", 100) is image
    with pytest.raises(ValueError, match="read-only"):
        image[0] = 0


def test_without_scikit_image_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("model.data.rendered.find_spec", lambda name: None)
    photograph.cache_clear()
    with pytest.raises(ModelError, match=r"siamfc-service\[dev\]"):
        photograph("chelsea", 99)
