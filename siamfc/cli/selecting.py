"""`siamfc track --select`: targets drawn on the first frame, in a window, or without a display in a page."""

from __future__ import annotations

import json
import os
import queue
import secrets
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.resources import files
from typing import Any

import click

from siamfc.cli.failures import InputError
from siamfc.cli.following import Boxes
from siamfc.cli.frames import SourceFrame, Uint8Image
from siamfc.cli.options import NamedBoxType, by_name

_LARGEST_BODY = 65_536
_PICTURE = {b"\xff\xd8": "image/jpeg", b"\x89P": "image/png", b"RI": "image/webp"}


def select_boxes(frame: SourceFrame) -> Boxes:
    """Let the user draw the targets on a frame. Raises InputError where none was drawn."""
    if has_display() and has_windows():
        return _in_window(frame.bgr(), frame.label)
    with SelectionPage(frame).served() as page:
        port = page.url.split(":")[2].split("/")[0]
        click.echo(f"siamfc: draw the targets at {page.url}", err=True)
        if not has_display():
            click.echo(f"siamfc: from another machine, first: ssh -L {port}:127.0.0.1:{port} THIS_MACHINE", err=True)
        else:
            click.launch(page.url)
        return page.chosen()


def has_display() -> bool:
    """Whether there is a screen to open windows on."""
    return sys.platform in ("win32", "darwin") or bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def has_windows() -> bool:
    """Whether OpenCV is there, and was built with a window system."""
    try:
        import cv2
    except ModuleNotFoundError:
        return False
    lines = (line.strip() for line in cv2.getBuildInformation().splitlines())
    return not any(line.startswith("GUI:") and "NONE" in line for line in lines)


def _in_window(image: Uint8Image, label: str) -> Boxes:
    import cv2

    title = f"{label}: drag a box, Enter; then Esc to track"
    drawn = cv2.selectROIs(title, image, showCrosshair=False, printNotice=False)
    cv2.destroyWindow(title)
    boxes = [("", tuple(map(float, box))) for box in drawn if box[2] and box[3]]
    if not boxes:
        raise InputError(f"{label}: no box was drawn")
    return by_name(boxes)


class SelectionPage:
    """A page on this machine alone, at an address that cannot be guessed, which shows a frame and takes boxes."""

    def __init__(self, frame: SourceFrame) -> None:
        from siamfc.client.pictures import encoded

        self._picture = frame.content if isinstance(frame.content, bytes) else encoded(frame.content, ".jpg", 90)
        width, height = frame.size()
        text = (files("siamfc.cli") / "select.html").read_text(encoding="utf-8")
        self._html = text.replace("$WIDTH", str(width)).replace("$HEIGHT", str(height)).encode()
        self._base = f"/{secrets.token_urlsafe(16)}/"
        self._chosen: queue.SimpleQueue[Boxes] = queue.SimpleQueue()
        self.url = ""

    @contextmanager
    def served(self) -> Iterator[SelectionPage]:
        """Serve the page while the block runs; `url` is its address."""
        server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self.url = f"http://127.0.0.1:{server.server_address[1]}{self._base}"
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield self
        finally:
            server.shutdown()
            thread.join()
            server.server_close()

    def chosen(self) -> Boxes:
        """The boxes, once there are any."""
        return self._chosen.get()

    def content(self, path: str) -> tuple[str, bytes] | None:
        """The media type and the body of what lies at a path, None for nothing."""
        if path == self._base:
            return "text/html; charset=utf-8", self._html
        if path == self._base + "frame":
            return _PICTURE.get(self._picture[:2], "application/octet-stream"), self._picture
        return None

    def take(self, path: str, body: bytes) -> str | None:
        """Take the boxes `[[name, [x, y, w, h]], …]`; why they are refused, None where they are taken."""
        if path != self._base + "boxes":
            return "there is nothing at this address"
        try:
            given = [(str(name), [float(value) for value in box]) for name, box in json.loads(body)]
            check = NamedBoxType()
            boxes = by_name([check.convert(f"{name}={','.join(map(repr, box))}", None, None) for name, box in given])
        except click.ClickException as error:
            return error.message
        except (ValueError, TypeError, RecursionError):
            return "no list of names and boxes"
        if not boxes:
            return "no box was drawn"
        self._chosen.put(boxes)
        return None


def _handler(page: SelectionPage) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        timeout = 10

        def do_GET(self) -> None:
            found = page.content(self.path)
            if found is None:
                self._answer(404, "text/plain", b"there is nothing at this address")
            else:
                self._answer(200, *found)

        def do_POST(self) -> None:
            length = self.headers.get("Content-Length", "")
            if not length.isdecimal() or int(length) > _LARGEST_BODY:
                self._answer(413, "text/plain", b"the list is too long")
                return
            refusal = page.take(self.path, self.rfile.read(int(length)))
            self._answer(200 if refusal is None else 422, "text/plain; charset=utf-8", (refusal or "").encode())

        def _answer(self, status: int, kind: str, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Cache-Control", "no-store")
            self.send_header("X-Content-Type-Options", "nosniff")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            """Say nothing: the command has the terminal."""

    return Handler
