"""A worker's place: what it writes for another process, and what it inherits."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from service.post import Post

POST = Post(number=1, count=3, listeners=(5, 6), ready=7, life=8, folder="/tmp/somewhere")


def test_it_survives_a_command_line() -> None:
    assert Post.from_argument(POST.argument()) == POST
    assert POST.descriptors == (5, 6, 7, 8)
    assert POST.metrics_socket(2) == Path("/tmp/somewhere/2.sock")


@pytest.mark.parametrize("text", ["", "{}", "[]", "3", '{"number": 1}', '{"listeners": [], "colour": "red"}', "null"])
def test_anything_else_is_no_place(text: str) -> None:
    with pytest.raises(ValueError):
        Post.from_argument(text)


def test_it_announces_itself_even_to_nobody() -> None:
    reading, writing = os.pipe()
    post = Post(0, 1, (), writing, -1, "")
    post.announce()
    assert os.read(reading, 10) == b"1"
    os.close(reading)
    post.announce()
    os.close(writing)


def test_its_sockets_are_those_it_inherits() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        (inherited,) = Post(0, 1, (os.dup(listener.fileno()),), -1, -1, "").sockets()
        with inherited:
            assert inherited.getsockname() == listener.getsockname()
