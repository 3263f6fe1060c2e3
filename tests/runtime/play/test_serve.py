"""The socket that a playground listens on."""

from __future__ import annotations

import asyncio
import socket

import pytest

pytest.importorskip("starlette")
pytest.importorskip("uvicorn")
from fdif_dsl.runtime.play.serve import listen


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_small_messages_are_sent_at_once(host: str) -> None:
    async def waits() -> int:
        heard: asyncio.Future[int] = asyncio.get_running_loop().create_future()

        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            theirs = writer.get_extra_info("socket")
            heard.set_result(theirs.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
            writer.close()

        async with await asyncio.start_server(answer, sock=listen(host, 0)) as server:
            await asyncio.open_connection(*server.sockets[0].getsockname()[:2])
            return await heard

    assert asyncio.run(waits()) == 1
