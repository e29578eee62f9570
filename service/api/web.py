"""Routes of the demo page and of the socket's AsyncAPI document."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

from fastapi import APIRouter
from fastapi.responses import FileResponse
from starlette.staticfiles import StaticFiles

router = APIRouter(include_in_schema=False)

_FOLDER = Path(str(resources.files("service"))) / "web"
_POLICY = (
    "default-src 'self'; img-src 'self' data: blob:; media-src 'self' blob:; connect-src 'self' ws: wss:; "
    "object-src 'none'; base-uri 'none'; frame-ancestors 'self'"
)


@router.get("/")
async def page() -> FileResponse:
    """The demo page."""
    headers = {"Content-Security-Policy": _POLICY, "X-Content-Type-Options": "nosniff", "Cache-Control": "no-cache"}
    return FileResponse(_FOLDER / "index.html", headers=headers)


@router.get("/asyncapi.yaml")
async def asyncapi() -> FileResponse:
    """The description of the socket's messages."""
    return FileResponse(_FOLDER.parent / "api" / "asyncapi.yaml", media_type="application/yaml")


def static_files() -> StaticFiles:
    """Serve the page's scripts and styles, to be mounted at /web."""
    return StaticFiles(directory=_FOLDER)
