"""What the server answers: the page, what belongs to it, and its connection."""

from __future__ import annotations

import secrets
from functools import cache
from importlib.resources import files

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket

from fdif_dsl.runtime.play.folder import Folder
from fdif_dsl.runtime.play.guard import Guard
from fdif_dsl.runtime.play.page import Page

PAGES = 8
"""Pages at a time: each has processes of its own."""
_TYPES = {".html": "text/html", ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml",
          ".txt": "text/plain"}
_NONCE = "{{nonce}}"
_POLICY = ("default-src 'none'; script-src 'self'; style-src 'self' 'nonce-{}'; img-src 'self' blob: data:; "
           "connect-src 'self' blob: data:; font-src 'self' data:; base-uri 'none'; form-action 'none'; "
           "frame-ancestors 'none'")
_HEADERS = {"x-content-type-options": "nosniff", "referrer-policy": "no-referrer", "x-frame-options": "DENY",
            "cross-origin-opener-policy": "same-origin", "cross-origin-resource-policy": "same-origin"}


@cache
def _static(name: str) -> bytes | None:
    """A file of the front end; None where there is none of that name, or it is none to be sent."""
    known = {file.name: file for file in files("fdif_dsl.runtime.play.static").iterdir() if file.is_file()}
    found = known.get(name)
    return found.read_bytes() if found is not None and _type(name) else None


def _type(name: str) -> str:
    return _TYPES.get(name[name.rfind(".") :], "")


def _answer(name: str, data: bytes, nonce: str = "") -> Response:
    headers = {**_HEADERS, "content-security-policy": _POLICY.format(nonce or secrets.token_urlsafe(16)),
               "cache-control": "no-store" if nonce else "no-cache"}
    return Response(data, headers=headers, media_type=_type(name))


async def _index(request: Request) -> Response:
    nonce = secrets.token_urlsafe(16)
    page = _static("index.html")
    assert page is not None
    return _answer("index.html", page.replace(_NONCE.encode(), nonce.encode()), nonce)


async def _file(request: Request) -> Response:
    name = request.path_params["name"]
    data = _static(name)
    return Response("There is no such file.\n", 404, headers=_HEADERS) if data is None else _answer(name, data)


def make_app(folder: Folder, token: str, host: str = "127.0.0.1", first: str | None = None) -> Guard:
    """The application of one folder, behind its guard. `first` is the file that a page opens."""
    open_pages: set[Page] = set()

    async def _socket(socket: WebSocket) -> None:
        if len(open_pages) >= PAGES:
            await socket.accept()
            await socket.close(1013, f"{PAGES} pages are open already: close one of them")
            return
        page = Page(folder, socket, first)
        open_pages.add(page)
        try:
            await page.run()
        finally:
            open_pages.discard(page)

    app = Starlette(routes=[Route("/", _index), Route("/static/{name}", _file), WebSocketRoute("/socket", _socket)])
    return Guard(app, token, host)
