"""The hints to a client that sent an image as text, or a box as shares of the frame."""

from __future__ import annotations

import base64
import json

import cv2
import numpy as np
import pytest

from model.boxes import Box
from model.errors import InvalidBoxError
from service.errors import InvalidBox, InvalidImage, InvalidRequest
from service.sessions.decoding import decode_frame
from service.wire import codec, hints

IMAGES = {
    suffix: cv2.imencode(suffix, np.random.default_rng(3).integers(0, 255, (80, 90, 3), np.uint8))[1].tobytes()
    for suffix in (".jpg", ".png", ".webp")
}
AS_TEXT = {
    "base64": lambda data: base64.b64encode(data).decode(),
    "base64 in quotes": lambda data: json.dumps(base64.b64encode(data).decode()),
    "a data URL": lambda data: f"data:image/jpeg;base64,{base64.b64encode(data).decode()}",
}


@pytest.mark.parametrize("form", list(AS_TEXT))
@pytest.mark.parametrize("suffix", list(IMAGES))
def test_an_image_as_a_text_message(suffix: str, form: str) -> None:
    text = AS_TEXT[form](IMAGES[suffix])
    # However long it is.
    for message in (text, text[:200]):
        with pytest.raises(InvalidRequest, match="send the image's bytes as a binary message"):
            codec.parse(message)


@pytest.mark.parametrize("form", ["base64", "a data URL"])
@pytest.mark.parametrize("suffix", list(IMAGES))
def test_an_image_as_text_in_a_binary_message(suffix: str, form: str) -> None:
    with pytest.raises(InvalidImage, match="it looks like base64 or a data URL: send the image's own bytes"):
        decode_frame(AS_TEXT[form](IMAGES[suffix]).encode(), 10**6)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        pytest.param("data:image/png;base64,iVBORw0KGgo=", "leave out the data URL's beginning", id="a data URL"),
        pytest.param("iVBO\nRw0K", "leave out spaces and line breaks", id="wrapped lines"),
        pytest.param("$$$", "", id="anything else"),
    ],
)
def test_what_is_no_base64(text: str, said: str) -> None:
    found = hints.of_base64(text)
    assert said in found
    assert bool(found) is bool(said)


@pytest.mark.parametrize(
    ("box", "hinted"),
    [
        pytest.param((0.1, 0.2, 0.3, 0.4), True, id="shares"),
        pytest.param((0, 0, 1, 0.5), True, id="the upper half"),
        pytest.param((10, 20, 0.5, 30), False, id="pixels"),
        pytest.param((0.1, 0.2, -0.3, 0.4), False, id="a negative side"),
    ],
)
def test_a_box_of_shares(box: tuple[float, float, float, float], hinted: bool) -> None:
    with pytest.raises(InvalidBox) as here:
        codec.parse_box(list(box))
    with pytest.raises(InvalidBoxError) as there:
        Box.checked(box, (640, 480))
    for caught in (here, there):
        assert "at least 1 pixel" in str(caught.value)
        assert str(caught.value).endswith("; 0..1? pixels of the frame are meant") is hinted


@pytest.mark.parametrize("text", ["", "hello", '{"type":"fly"}', "9j", "dat"])
def test_no_hint_where_there_is_nothing_to_guess(text: str) -> None:
    assert hints.of_text(text) == ""
    assert hints.of_bytes(text.encode()) == ""
