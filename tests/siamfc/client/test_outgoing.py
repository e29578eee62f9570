"""What goes over the wire for one message."""

from __future__ import annotations

import json

from siamfc.client.outgoing import Item


def test_a_whole_frame_is_one_message() -> None:
    assert Item(b"image", 3).messages(parts=True) == [b"image"]


def test_a_part_is_announced_before_it() -> None:
    announcement, image = Item(b"image", 3, (20, 10)).messages(parts=True)
    assert json.loads(announcement) == {"type": "part", "at": [20, 10]}
    assert image == b"image"


def test_a_server_that_takes_no_parts_gets_the_whole_frame_where_it_is_kept() -> None:
    kept = Item(b"part", 3, (20, 10), lambda: b"whole")
    assert kept.messages(parts=False) == [b"whole"]
    assert kept.messages(parts=True)[1] == b"part"
    # The server refuses this one by its size, as a frame-size-changed.
    assert Item(b"part", 3, (20, 10)).messages(parts=False)[1] == b"part"
