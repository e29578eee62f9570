"""The gate before every route: request ids, hosts and origins, keys beside `/v1`, security headers. ASGI middleware."""

from __future__ import annotations

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.api.components import running_components
from service.api.origins import HostRules, same_origin, split_host
from service.api.problems import send_problem
from service.errors import ForbiddenOrigin, ServiceError, UnknownHost
from service.operations.request_ids import serving
from siamfc.contract import SUBPROTOCOL, CloseCode

_HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
    # Pages bring policies of their own. Styles, because an SVG may have some.
    (b"content-security-policy", b"default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"),
)
_GUARDED = {
    "metrics": ("/metrics",),
    "docs": ("/docs", "/openapi.json", "/asyncapi.yaml", "/swagger-ui"),
}


class Gate:
    """Refuses requests of foreign pages and for foreign hosts, and completes the headers of every answer.

    `guarded`: of `metrics` and `docs`, those that ask for an API key as `/v1` does.
    """

    def __init__(self, app: ASGIApp, hosts: HostRules, origins: tuple[str, ...], guarded: tuple[str, ...]) -> None:
        self._app, self._hosts, self._origins = app, hosts, origins
        self._guarded = tuple(path for name in guarded for path in _GUARDED[name])

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        given = Headers(scope=scope)
        named = dict(scope["headers"]).get(b"x-request-id")
        with serving(named) as request_id:

            async def complete(message: Message) -> None:
                if message["type"] in ("http.response.start", "websocket.accept"):
                    message = {**message, "headers": _completed(message, request_id)}
                await send(message)

            try:
                self._check(scope, given)
            except ServiceError as error:
                await _refuse(error, scope, receive, complete)
            else:
                await self._app(scope, receive, complete)

    def _check(self, scope: Scope, headers: Headers) -> None:
        """Raises UnknownHost, ForbiddenOrigin, Unauthorized."""
        origin, host, path = headers.get("origin"), headers.get("host"), scope["path"]
        if host is not None:
            named, reached = split_host(host), (scope.get("server") or ("", 0))[0]
            if named is None or not self._hosts.accepts(named[0], reached, by_page=origin is not None):
                raise UnknownHost("this server does not answer to that host; SIAMFC_ALLOWED_HOSTS lists those it does")
        # Browsers keep what else is here from other pages by themselves.
        calls = scope["type"] == "websocket" or path.startswith("/v1/")
        if calls and origin is not None and not self._may_call(origin, host or ""):
            raise ForbiddenOrigin("pages of that origin may not call; SIAMFC_CORS_ORIGINS lists those that may")
        if path.startswith(self._guarded) and self._guarded:
            components = running_components(scope["app"])
            if components is not None:
                components.keyring.owner(headers)

    def _may_call(self, origin: str, host: str) -> bool:
        return "*" in self._origins or origin in self._origins or same_origin(origin, host)


def _completed(message: Message, request_id: str) -> list[tuple[bytes, bytes]]:
    headers = list(message.get("headers", ()))
    present = {name.lower() for name, _ in headers}
    if message["type"] == "http.response.start":
        headers += [(name, value) for name, value in _HEADERS if name not in present]
    return [*headers, (b"x-request-id", request_id.encode())]


async def _refuse(error: ServiceError, scope: Scope, receive: Receive, send: Send) -> None:
    """Answer with the error's problem, or accept a socket and close it: a browser sees no other reason."""
    components = running_components(scope["app"])
    if components is not None:
        components.metrics.refused(error.kind.slug)
    if scope["type"] == "websocket":
        await receive()
        offered = scope.get("subprotocols", ())
        await send({"type": "websocket.accept", "subprotocol": SUBPROTOCOL if SUBPROTOCOL in offered else None})
        await send({"type": "websocket.close", "code": CloseCode.REFUSED, "reason": error.detail[:100]})
        return
    await send_problem(error, send)
