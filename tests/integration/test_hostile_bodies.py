"""Bodies made to keep the server busy: each is refused at once, in few words, and nobody else waits for it."""

from __future__ import annotations

import json

import httpx
import pytest

from tests.integration import scene
from tests.integration.calls import slug
from tests.integration.hostile import HEALTHY_S, attacked
from tests.support.server import Server

MOST_ANSWER = 8 * 1024
"""Bytes of a refusal."""
BOX = [10, 10, 20, 20]
MANY = 5000


def as_json(text: bytes) -> tuple[bytes, str]:
    """A body, and its media type."""
    return text, "application/json"


def as_form(*parts: bytes, media: str = "multipart/form-data; boundary=b") -> tuple[bytes, str]:
    """A form of parts, each with its head, and its media type."""
    return b"".join(b"--b\r\n" + part + b"\r\n" for part in parts) + b"--b--\r\n", media


def text_part(name: str, text: bytes, *heads: bytes) -> bytes:
    lines = [b'Content-Disposition: form-data; name="%s"' % name.encode(), *heads]
    return b"\r\n".join(lines) + b"\r\n\r\n" + text


def file_part(data: bytes) -> bytes:
    return b'Content-Disposition: form-data; name="frame"; filename="f"\r\n\r\n' + data


FRAME = file_part(scene.frame())
FIELD = b'{"frame": "%s", ' % scene.base64_frame().encode()
NAMES = json.dumps(
    [{"id": str(MANY + k), "box": BOX} for k in range(MANY)] + [{"box": BOX} for _ in range(MANY // 4)],
    separators=(",", ":"),
).encode()

ATTACKS = [
    pytest.param(*as_form(FRAME, text_part("targets", NAMES)), id="names-that-are-taken"),
    pytest.param(*as_json(FIELD + b'"targets": ' + NAMES + b"}"), id="names-that-are-taken-json"),
    pytest.param(*as_json(FIELD + b'"targets": [' + b"1," * 1_000_000 + b"1]}"), id="a-million-that-are-no-targets"),
    pytest.param(*as_json(FIELD + b'"targets": [' + b"{}," * 1_000_000 + b"{}]}"), id="a-million-empty-targets"),
    pytest.param(*as_json(FIELD + b'"box": ' + b"[" * 3_000_000 + b"}"), id="depth"),
    pytest.param(*as_json(FIELD + b'"box": ' + b"9" * 3_000_000 + b"}"), id="one-long-number"),
    pytest.param(*as_json(FIELD + b'"box": 0.' + b"9" * 3_000_000 + b"}"), id="one-long-fraction"),
    pytest.param(*as_json(FIELD + b'"' + b"a" * 3_000_000 + b'": 1}'), id="one-long-name"),
    pytest.param(*as_json(FIELD + b'"a": 1, ' * 400_000 + b'"a": 1}'), id="one-name-many-times"),
    pytest.param(*as_json(FIELD + b", ".join(b'"%d": 1' % k for k in range(400_000)) + b"}"), id="many-names"),
    pytest.param(*as_form(FRAME, text_part("box", b"1," * 120_000)), id="a-box-of-many-numbers"),
    pytest.param(*as_form(FRAME, text_part("box", b"9" * 250_000 + b",1,1,1")), id="a-box-with-a-long-number"),
    pytest.param(*as_form(FRAME, text_part("ttl_s", b"9" * 250_000)), id="a-long-ttl"),
    pytest.param(*as_form(FRAME, text_part("targets", b"[" * 250_000)), id="depth-in-a-form"),
    pytest.param(
        *as_form(
            FRAME, text_part("box", b"-" + b"a" * 60_000), media="multipart/form-data; boundary=b; charset=punycode"
        ),
        id="punycode",
    ),
    *(
        pytest.param(
            *as_form(FRAME, text_part("box", b"\\N{1,2"), media=f"multipart/form-data; boundary=b; charset={name}"),
            id=name,
        )
        for name in ("undefined", "unicode_escape", "utf-7", "base64", "idna", "utf-16")
    ),
    pytest.param(*as_form(FRAME, text_part("box", b"1,2,3,4", b"A: " + b"x" * 8_000_000)), id="a-long-head-of-a-part"),
    pytest.param(*as_form(FRAME, text_part("box", b"1,2,3,4", *[b"A: x"] * 400_000)), id="many-heads-of-a-part"),
    pytest.param(
        *as_form(FRAME, b'Content-Disposition: form-data; name="box"' + b"; a=b" * 200_000 + b"\r\n\r\n1,2,3,4"),
        id="many-parameters-of-a-part",
    ),
    pytest.param(*as_form(file_part(b"\r\n--" * 2_000_000)), id="almost-boundaries"),
    pytest.param(*as_form(*[text_part("box", b"")] * 100_000), id="many-parts"),
    pytest.param(
        *as_form(file_part(b"x"), media="multipart/form-data; boundary=" + "b" * 30_000), id="a-long-boundary"
    ),
]


@pytest.mark.parametrize(("body", "media"), ATTACKS)
def test_hostile_bodies(server: Server, body: bytes, media: str) -> None:
    def attack(client: httpx.Client) -> httpx.Response:
        return client.post("/v1/sessions", content=body, headers={"Content-Type": media})

    answer, worst_s = attacked(server, attack)
    assert 400 <= answer.status_code < 500, answer.text[:500]
    assert slug(answer.json())
    assert len(answer.content) < MOST_ANSWER
    assert len(answer.json().get("errors", [])) <= 10
    assert worst_s < HEALTHY_S
    assert answer.elapsed.total_seconds() < 2 * HEALTHY_S
