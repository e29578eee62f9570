"""Reads multipart/form-data (RFC 7578) from a whole body, in time linear in its bytes. Pure; every byte is untrusted.

Limits come first: a body with too many parts, or a part with too long a head, is refused before any part is read. Text
is UTF-8. Nothing is written to a file.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from service.errors import InvalidRequest, UnsupportedMedia, pointer_to

MAX_PARTS = 8
"""Limit of a form's parts."""

MAX_HEAD = 8 * 1024
"""Limit of a part's head, in bytes."""

MAX_TEXT = 256 * 1024
"""Limit of a text part, in bytes."""

_MAX_BOUNDARY = 70
"""Limit of a boundary (RFC 2046, section 5.1.1)."""

_PARAMETER = re.compile(r""";\s*([^\s;="]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^;\s]*))""")
_UTF8 = frozenset({"", "utf-8", "utf8", "us-ascii"})


@dataclass(frozen=True, slots=True)
class MediaType:
    """A Content-Type: its type in lower case, and its parameters by name in lower case."""

    name: str
    parameters: dict[str, str]

    @classmethod
    def parse(cls, header: str) -> MediaType:
        """Parse a Content-Type header; what is no parameter is left out. Raises UnsupportedMedia for another charset.

        The first of two parameters with one name counts.
        """
        made = cls(header.partition(";")[0].strip().lower(), _parameters(header))
        charset = made.parameters.get("charset", "").lower()
        if charset not in _UTF8:
            raise UnsupportedMedia("text is read as UTF-8; leave the charset out")
        return made


@dataclass(frozen=True, slots=True)
class Part:
    """One part: its name, its bytes, and whether it is a file (it has a file name)."""

    name: str
    data: bytes
    is_file: bool

    @property
    def text(self) -> str:
        """The bytes as text. Raises InvalidRequest for a file, and for text that is no UTF-8."""
        if self.is_file:
            raise InvalidRequest(f"the part {self.name} must be text, not a file", pointer=pointer_to(self.name))
        return _decoded(self.data, f"the part {self.name}", pointer_to(self.name))


def read_form(body: bytes, boundary: str | None) -> dict[str, Part]:
    """Read the parts of a form by name; a part that no boundary ends is left out.

    Raises InvalidRequest (its syntax, its limits, two parts of one name) and UnsupportedMedia (another charset).
    """
    if not boundary or len(boundary) > _MAX_BOUNDARY or not boundary.isascii():
        raise InvalidRequest(
            f"the multipart body cannot be read: a boundary is 1 to {_MAX_BOUNDARY} characters of ASCII"
        )
    delimiter = b"\r\n--" + boundary.encode("ascii")
    if body.count(delimiter) > MAX_PARTS + 1:
        raise InvalidRequest(f"the multipart body cannot be read: it has more than {MAX_PARTS} parts")
    parts: dict[str, Part] = {}
    for start, end in _spans(body, delimiter):
        part = _part(body, start, end)
        if part.name in parts:
            raise InvalidRequest(f"the part {part.name} is given more than once", pointer=pointer_to(part.name))
        if len(parts) == MAX_PARTS:
            raise InvalidRequest(f"the multipart body cannot be read: it has more than {MAX_PARTS} parts")
        parts[part.name] = part
    return parts


def _spans(body: bytes, delimiter: bytes) -> Iterator[tuple[int, int]]:
    """Where each part's head begins, and where its data ends."""
    opening = delimiter[2:]
    if body.startswith(opening):
        at = len(opening)
    elif (found := body.find(delimiter)) >= 0:
        at = found + len(delimiter)
    else:
        return
    while not body.startswith(b"--", at):
        start = body.find(b"\r\n", at, at + MAX_HEAD)
        end = body.find(delimiter, start + 2) if start >= 0 else -1
        if end < 0:
            return
        yield start + 2, end
        at = end + len(delimiter)


def _part(body: bytes, start: int, end: int) -> Part:
    head_end = body.find(b"\r\n\r\n", start, min(end, start + MAX_HEAD))
    if head_end < 0:
        raise InvalidRequest(
            f"the multipart body cannot be read: a part's head has no end, or more than {MAX_HEAD} bytes"
        )
    head = _decoded(body[start:head_end], "a part's head", None)
    fields: dict[str, str] = {}
    for line in head.split("\r\n"):
        name, _, value = line.partition(":")
        fields.setdefault(name.strip().lower(), value.strip())
    disposition = _parameters(fields.get("content-disposition", ""))
    if "name" not in disposition:
        raise InvalidRequest("the multipart body cannot be read: a part's Content-Disposition has no name")
    is_file = not disposition.keys().isdisjoint(("filename", "filename*"))
    if not is_file:
        MediaType.parse(fields.get("content-type", ""))
        if end - head_end - 4 > MAX_TEXT:
            raise InvalidRequest(f"the multipart body cannot be read: a text part has more than {MAX_TEXT} bytes")
    return Part(disposition["name"], body[head_end + 4 : end], is_file)


def _parameters(header: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, quoted, bare in _PARAMETER.findall(header):
        found.setdefault(name.lower(), re.sub(r"\\(.)", r"\1", quoted) or bare)
    return found


def _decoded(data: bytes, what: str, pointer: str | None) -> str:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        raise InvalidRequest(f"{what} is not UTF-8", pointer=pointer) from None
