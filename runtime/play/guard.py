"""Who may ask: who knows the token, under a name that is this machine's, from the page itself."""

from __future__ import annotations

import ipaddress
import secrets
import socket
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import urlsplit

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Any]]
Send = Callable[[Any], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

_LOCAL = {"localhost", "127.0.0.1", "::1"}
_ANY = {"0.0.0.0", "::", ""}
_LOST = "This address opens nothing. Open the one that `fdifc play` printed; each start has a new one.\n"


def new_token() -> str:
    return secrets.token_urlsafe(24)


def is_local(host: str) -> bool:
    """Whether only this machine reaches a server that listens there."""
    return host in _LOCAL


class Guard:
    """Lets through what is asked below `/TOKEN/`, and answers all else with one sentence.

    A site elsewhere cannot know the token. Should it leak, the `Host` must still be a name of this machine, which a
    name that an attacker bends to it (DNS rebinding) is not, and an `Origin` must be the page's own. Ports are not
    compared with our own, so that the page may come through a forwarded one.
    """

    def __init__(self, app: App, token: str, host: str = "127.0.0.1") -> None:
        self.app, self.token, self.host = app, token, host

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        headers: dict[str, list[str]] = {}
        for name, value in scope["headers"]:
            headers.setdefault(name.decode("latin-1").lower(), []).append(value.decode("latin-1"))
        _, token, path = [*scope["path"].split("/", 2), "", ""][:3]
        known = scope["path"].startswith(f"/{token}/") and secrets.compare_digest(token.encode(), self.token.encode())
        if not known or not self.trusts(headers, needs_origin=scope["type"] == "websocket"):
            await _refuse(scope, receive, send)
            return
        base = f"{scope.get('root_path', '')}/{token}"
        await self.app({**scope, "root_path": base, "path": f"{base}/{path}", "raw_path": None}, receive, send)

    def trusts(self, headers: dict[str, list[str]], *, needs_origin: bool) -> bool:
        """Whether a request has one `Host`, of this machine, and no `Origin` but that. Browsers always say where a
        web socket is opened from."""
        hosts, origins = headers.get("host", []), headers.get("origin", [])
        if len(hosts) != 1 or len(origins) > 1 or (needs_origin and not origins):
            return False
        return self._ours(hosts[0]) and all(origin == f"http://{hosts[0]}" for origin in origins)

    def _ours(self, host: str) -> bool:
        try:
            name = urlsplit(f"//{host}").hostname or ""
        except ValueError:
            return False
        if name in _LOCAL:
            return True
        if is_local(self.host):
            return False
        return name == self.host.lower() or (self.host in _ANY and (_is_address(name) or name in _own_names()))


def _is_address(name: str) -> bool:
    """Whether a host is given by its number, which nobody can bend."""
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _own_names() -> set[str]:
    return {socket.gethostname().lower(), socket.getfqdn().lower()}


async def _refuse(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.close", "code": 1008})  # before it was accepted: the browser sees a 403
        return
    body = _LOST.encode()
    await send({"type": "http.response.start", "status": 403, "headers": [
        (b"content-type", b"text/plain; charset=utf-8"), (b"content-length", str(len(body)).encode()),
        (b"x-content-type-options", b"nosniff"), (b"cache-control", b"no-store")]})
    await send({"type": "http.response.body", "body": body})
