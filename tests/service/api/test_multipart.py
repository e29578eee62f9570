"""Forms read from whole bodies: the parts that are there, and what is refused."""

from __future__ import annotations

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.api.multipart import MAX_HEAD, MAX_PARTS, MAX_TEXT, MediaType, Part, read_form
from service.errors import InvalidRequest, UnsupportedMedia


def part(name: str = "a", data: bytes = b"1", *lines: bytes) -> bytes:
    head = [b'Content-Disposition: form-data; name="%s"' % name.encode(), *lines]
    return b"\r\n".join(head) + b"\r\n\r\n" + data


def form(*parts: bytes) -> bytes:
    return b"".join(b"--b\r\n" + each + b"\r\n" for each in parts) + b"--b--\r\n"


@pytest.mark.parametrize(
    ("body", "parts"),
    [
        pytest.param(form(), [], id="none"),
        pytest.param(b"", [], id="empty"),
        pytest.param(form(part()), [Part("a", b"1", False)], id="one"),
        pytest.param(form(part(data=b"")), [Part("a", b"", False)], id="empty-part"),
        pytest.param(b"before\r\n" + form(part()) + b"after", [Part("a", b"1", False)], id="text-around"),
        pytest.param(
            form(part("a", b"\r\n--\r\n-b"), part("b")),
            [Part("a", b"\r\n--\r\n-b", False), Part("b", b"1", False)],
            id="almost-a-boundary",
        ),
        pytest.param(b"--b \t\r\n" + part() + b"\r\n--b--", [Part("a", b"1", False)], id="padded-boundary"),
        pytest.param(form(part()).replace(b"--b--", b""), [], id="cut-off"),
        pytest.param(
            form(b'CONTENT-DISPOSITION:form-data;NAME=a;FileName="x;y\\"z"\r\n\r\n1'),
            [Part("a", b"1", True)],
            id="file",
        ),
        pytest.param(
            form(b"Content-Disposition: form-data; name=a; filename*=UTF-8''x\r\n\r\n1"),
            [Part("a", b"1", True)],
            id="file-by-extended-name",
        ),
        pytest.param(
            form(part("a", b"1", b"Content-Type: text/plain; charset=UTF-8")), [Part("a", b"1", False)], id="utf-8"
        ),
    ],
)
def test_parts(body: bytes, parts: list[Part]) -> None:
    assert list(read_form(body, "b").values()) == parts


@given(st.dictionaries(st.text('abc"\\é', min_size=1), st.binary(), max_size=MAX_PARTS))
def test_a_client_library_is_understood(sent: dict[str, bytes]) -> None:
    made = httpx.Request("POST", "http://test/", files={name: ("f", data) for name, data in sent.items()} or None)
    boundary = MediaType.parse(made.headers.get("content-type", "")).parameters.get("boundary", "b")
    found = read_form(made.read(), boundary)
    # The library writes a quote as browsers do.
    assert {name: each.data for name, each in found.items()} == {
        name.replace('"', "%22"): data for name, data in sent.items()
    }


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(form(*[part(str(k)) for k in range(MAX_PARTS + 1)]), id="parts"),
        pytest.param(form(part("a", b"1", b"X: " + b"x" * MAX_HEAD)), id="long-head"),
        pytest.param(form(part("a", b"1" * (MAX_TEXT + 1))), id="long-text"),
        pytest.param(form(part(), part()), id="one-name-twice"),
        pytest.param(form(b"Content-Disposition: form-data\r\n\r\n1"), id="no-name"),
        pytest.param(form(b"1"), id="no-head"),
        pytest.param(form(part().replace(b"a", b"\xff")), id="name-that-is-no-utf-8"),
    ],
)
def test_refused_forms(body: bytes) -> None:
    with pytest.raises(InvalidRequest):
        read_form(body, "b")


def test_as_many_parts_as_allowed() -> None:
    assert len(read_form(form(*[part(str(k)) for k in range(MAX_PARTS)]), "b")) == MAX_PARTS


@pytest.mark.parametrize("boundary", [None, "", "b" * 71, "é"])
def test_refused_boundaries(boundary: str | None) -> None:
    with pytest.raises(InvalidRequest, match="boundary"):
        read_form(form(), boundary)


@pytest.mark.parametrize("charset", ["punycode", "undefined", "utf-16", "latin-1"])
def test_other_charsets(charset: str) -> None:
    with pytest.raises(UnsupportedMedia, match="UTF-8"):
        MediaType.parse(f"application/json; charset={charset}")
    with pytest.raises(UnsupportedMedia, match="UTF-8"):
        read_form(form(part("a", b"1", b"Content-Type: text/plain; charset=" + charset.encode())), "b")


@pytest.mark.parametrize(
    ("header", "name", "parameters"),
    [
        pytest.param("", "", {}, id="none"),
        pytest.param("Text/Plain", "text/plain", {}, id="bare"),
        pytest.param('a/b; X="1;2"; y=3', "a/b", {"x": "1;2", "y": "3"}, id="parameters"),
        pytest.param("a/b; x=1; x=2", "a/b", {"x": "1"}, id="one-name-twice"),
        pytest.param("a/b;;=;x;charset=utf-8", "a/b", {"charset": "utf-8"}, id="odd"),
    ],
)
def test_media_types(header: str, name: str, parameters: dict[str, str]) -> None:
    assert MediaType.parse(header) == MediaType(name, parameters)


def test_the_text_of_a_part() -> None:
    assert Part("a", "é".encode(), False).text == "é"
    with pytest.raises(InvalidRequest, match="UTF-8"):
        _ = Part("a", b"\xff", False).text
    with pytest.raises(InvalidRequest, match="not a file"):
        _ = Part("a", b"1", True).text
