"""Routes of the demo page, of the HTTP calls' documentation and of the socket's AsyncAPI document.

Nothing here makes a browser ask another host: Swagger UI comes from a package (fastapi-offline carries it).
"""

from __future__ import annotations

from importlib import resources
from pathlib import Path
from typing import Any

from fastapi import APIRouter, FastAPI, Request
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.responses import FileResponse, HTMLResponse
from starlette.responses import Response
from starlette.staticfiles import StaticFiles

router = APIRouter(include_in_schema=False)

_FOLDER = Path(str(resources.files("service"))) / "web"
_POLICY = (
    "default-src 'self'; img-src 'self' data: blob:; media-src 'self' blob:; connect-src 'self'; "
    "object-src 'none'; base-uri 'none'; frame-ancestors 'self'"
)

_SWAGGER = Path(str(resources.files("fastapi_offline"))) / "static"
_SWAGGER_FILES = "/swagger-ui"
_DOCS_POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "object-src 'none'; base-uri 'none'; frame-ancestors 'self'"
)
"""Swagger UI is begun by a script in the page, and styles itself."""


@router.head("/")
@router.get("/")
async def page() -> FileResponse:
    """The demo page."""
    headers = {"Content-Security-Policy": _POLICY, "X-Content-Type-Options": "nosniff", "Cache-Control": "no-cache"}
    return FileResponse(_FOLDER / "index.html", headers=headers)


@router.get("/docs")
async def documentation(request: Request) -> HTMLResponse:
    """The HTTP calls, in Swagger UI."""
    root = request.scope.get("root_path", "")
    page = get_swagger_ui_html(
        openapi_url=f"{root}/openapi.json",
        title="SiamFC tracking service: HTTP API",
        swagger_js_url=f"{root}{_SWAGGER_FILES}/swagger-ui-bundle.js",
        swagger_css_url=f"{root}{_SWAGGER_FILES}/swagger-ui.css",
        swagger_favicon_url=f"{root}/web/icon.svg",
        # Swagger UI would have the document checked by a service of its makers.
        swagger_ui_parameters={"validatorUrl": "none"},
    )
    page.headers["Content-Security-Policy"] = _DOCS_POLICY
    return page


@router.get("/asyncapi.yaml")
async def asyncapi() -> FileResponse:
    """The description of the socket's messages."""
    return FileResponse(_FOLDER.parent / "api" / "asyncapi.yaml", media_type="application/yaml")


class _PageFiles(StaticFiles):
    """The page's files under the page's own policy: a worker has that of its script, not of the page."""

    def file_response(self, *args: Any, **options: Any) -> Response:
        answer = super().file_response(*args, **options)
        answer.headers["Content-Security-Policy"] = _POLICY
        return answer


def mount_files(app: FastAPI) -> None:
    """Serve the page's scripts and styles at /web, Swagger UI's at /swagger-ui."""
    app.mount("/web", _PageFiles(directory=_FOLDER))
    app.mount(_SWAGGER_FILES, StaticFiles(directory=_SWAGGER))
