"""Hints for refusals: what the client probably meant, to be added to a message, or nothing."""

from __future__ import annotations

_DATA_URL = "data:"
_ENCODED = ("/9j/", "iVBORw0KGgo", "UklGR")
"""How base64 of JPEG, PNG and WebP begins."""


def of_text(text: str) -> str:
    """For a text message that is refused: whether it is an image in base64 or a data URL."""
    if _is_encoded_image(text):
        return ": it looks like an image as text; send the image's bytes as a binary message, without base64"
    return ""


def of_base64(text: str) -> str:
    """For a field that is no base64: a data URL's beginning, or line breaks."""
    if text.lstrip().startswith(_DATA_URL):
        return ": leave out the data URL's beginning, up to its comma"
    if any(character.isspace() for character in text):
        return ": leave out spaces and line breaks"
    return ""


def of_bytes(data: bytes) -> str:
    """For bytes that are no image: whether they are one as text."""
    if _is_encoded_image(data[:64].decode("latin-1")):
        return "; it looks like base64 or a data URL: send the image's own bytes"
    return ""


def of_box(box: tuple[float, float, float, float]) -> str:
    """For a box under a pixel: whether its numbers are shares of the frame. `model.boxes` says the same."""
    if all(0 <= number <= 1 for number in box):
        return "; 0..1? pixels of the frame are meant"
    return ""


def _is_encoded_image(text: str) -> bool:
    start = text[:64].lstrip().lstrip("\"'")
    return start.startswith((_DATA_URL, *_ENCODED))
