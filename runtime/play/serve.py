"""Listening: the port, the address to open, and the end."""

from __future__ import annotations

import errno
import socket
import webbrowser
from collections.abc import Callable
from pathlib import Path

import uvicorn

from fdif_dsl.grammar.diagnostics import Diagnostic, FdifError
from fdif_dsl.runtime.play.app import make_app
from fdif_dsl.runtime.play.folder import Folder, Refused
from fdif_dsl.runtime.play.guard import is_local, new_token

PORT = 8765
_MESSAGE = 1 << 20  # bytes of a page's message; a text has at most 64 K


def first_file(folder: Folder, path: Path | None) -> str | None:
    """The name of the file that is to be opened first.

    Raises:
        FdifError: where it lies elsewhere, is not there, or is no text.
    """
    if path is None:
        return None
    try:
        name = folder.name(path)
        folder.open(name)
    except Refused as refused:
        inside = path.resolve().is_relative_to(folder.root)
        raise FdifError(Diagnostic(
            "E0893", f"cannot open {path}: {refused}", where="fdifc play",
            why="a page opens .sdf files of the folder that it was started in, and of no other",
            hint="check its name; without a file the page shows the gallery" if inside
            else f"cd {path.resolve().parent}, and start it there")) from None
    return name


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens; port 0 is any that is free.

    Raises:
        FdifError: where the port is in use, or the address is none of this machine.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        # Where its protocol is named, asyncio has small messages sent at once: a picture would come 40 ms late.
        found = socket.socket(family, kind, protocol)
        try:
            found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            found.bind(address)
            found.listen(64)
        except OSError:
            found.close()
            raise
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise FdifError(Diagnostic("E0891", f"port {port} is in use", where="fdifc play --port",
                                       why="another program listens there; it may be another playground",
                                       hint="--port 0 takes any that is free")) from None
        raise FdifError(Diagnostic(
            "E0892", f"cannot listen on {host}, port {port}: {(error.strerror or str(error)).lower()}",
            where="fdifc play --host", hint="without --host only this machine is asked")) from None
    return found


def serve(root: Path, path: Path | None, host: str, port: int, browser: bool, tell: Callable[[str], None]) -> None:
    """Show the playground of a folder until Ctrl-C.

    Raises:
        FdifError: as `first_file` and `listen` do.
    """
    folder, token = Folder(root), new_token()
    first = first_file(folder, path)
    listening = listen(host, port)
    with listening:
        taken = listening.getsockname()[1]
        shown = "127.0.0.1" if is_local(host) or host in ("0.0.0.0", "::") else host
        address = f"http://{f'[{shown}]' if ':' in shown else shown}:{taken}/{token}/"
        tell(f"The playground of {folder.root} is at\n\n    {address}\n")
        if not is_local(host):
            tell(f"It listens on {host}: whoever reaches this machine over the network and has this address, which "
                 "goes over the network as plain text, can read and change the .sdf files of this folder, and use "
                 "this machine's processor.\n")
        tell("Ctrl-C ends it.")
        if browser:
            webbrowser.open(address)
        app = make_app(folder, token, host, first)
        config = uvicorn.Config(app, log_level="error", ws="websockets-sansio", ws_max_size=_MESSAGE, lifespan="off",
                                access_log=False, server_header=False, timeout_graceful_shutdown=1, proxy_headers=False)
        uvicorn.Server(config).run(sockets=[listening])
