"""A playground that is served, and a page at the other end of its connection."""

from __future__ import annotations

import http.client
import itertools
import json
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("lsprotocol")
pytest.importorskip("starlette")
pytest.importorskip("uvicorn")
pytest.importorskip("websockets")
import uvicorn
from websockets.sync.client import ClientConnection, connect

from fdif_dsl.runtime.play.app import make_app
from fdif_dsl.runtime.play.folder import Folder
from fdif_dsl.runtime.play.parcel import unpack
from fdif_dsl.runtime.play.serve import listen

TOKEN = "a-token-for-tests"
BALL = """\
## A ball.
shape ball {
  ## Its radius.
  radius ~ uniform(0.2, 0.35) * grid.min
  half = radius / 2
  distance = length(p) - radius
}
"""


@dataclass
class Served:
    """A running server."""

    port: int
    folder: Path
    token: str = TOKEN

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}/{self.token}/"

    def get(self, path: str, **headers: str) -> tuple[int, bytes, dict[str, str]]:
        """The status, the body and the headers of an answer to a raw path."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        connection.putrequest("GET", path, skip_host=True)
        for name, value in {"Host": f"127.0.0.1:{self.port}", **headers}.items():
            connection.putheader(name, value)
        connection.endheaders()
        answer = connection.getresponse()
        found = answer.status, answer.read(), {k.lower(): v for k, v in answer.getheaders()}
        connection.close()
        return found

    def connect(self, token: str | None = None, origin: str | None = "own", **headers: str) -> ClientConnection:
        origin = f"http://127.0.0.1:{self.port}" if origin == "own" else origin
        return connect(f"ws://127.0.0.1:{self.port}/{self.token if token is None else token}/socket", origin=origin,
                       additional_headers=headers, open_timeout=60, max_size=2**26)


class Page:
    """What a page does, without a browser."""

    def __init__(self, served: Served) -> None:
        self.served, self.connection = served, served.connect()
        self.socket = self.connection.__enter__()
        self.number = itertools.count(1)
        self.news: list[dict[str, Any]] = []
        self.version = 0
        self.file = ""
        self.hello = self.hear()

    def hear(self, timeout: float = 120) -> dict[str, Any]:
        message = self.socket.recv(timeout)
        if isinstance(message, bytes):
            header, data = unpack(message)
            return {**header, "data": data}
        return json.loads(message)

    def until(self, wanted: Callable[[dict[str, Any]], bool], timeout: float = 120) -> dict[str, Any]:
        """The first message that is wanted; the others are kept."""
        for i, message in enumerate(self.news):
            if wanted(message):
                return self.news.pop(i)
        end = time.monotonic() + timeout
        while (left := end - time.monotonic()) > 0:
            message = self.hear(left)
            if wanted(message):
                return message
            self.news.append(message)
        raise AssertionError("nothing like that was told")

    def send(self, do: str, **fields: Any) -> int:
        number = next(self.number)
        self.socket.send(json.dumps({"do": do, "id": number, **fields}))
        return number

    def ask(self, do: str, **fields: Any) -> dict[str, Any]:
        number = self.send(do, **fields)
        return self.until(lambda m: m.get("id") == number)

    def job(self, do: str, **fields: Any) -> list[dict[str, Any]]:
        """All answers of a job but the last, which says no more than that."""
        number, answers = self.send(do, **fields), []
        while not (answer := self.until(lambda m: m.get("id") == number)).get("done"):
            answers.append(answer)
        return answers

    def open(self, file: str) -> dict[str, Any]:
        answer = self.ask("open", file=file)
        if "text" in answer:
            self.file, self.version = file, answer["version"]
        return answer

    def type(self, text: str) -> dict[str, Any]:
        """Have a text instead, and what is told of it first."""
        self.version += 1
        self.send("text", file=self.file, text=text, version=self.version)
        return self.told()

    def told(self) -> dict[str, Any]:
        return self.until(lambda m: m["is"] == "told" and m["version"] == self.version)

    def look(self, name: str = "ball", **fields: Any) -> dict[str, Any]:
        (answer,) = self.job("look", **{"kind": "shape", "name": name, "side": 96, "ranges": True, **fields})
        return answer

    def close(self) -> None:
        self.connection.__exit__(None, None, None)


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("formulas")
    listening = listen("127.0.0.1", 0)
    app = make_app(Folder(folder), TOKEN)
    server = uvicorn.Server(uvicorn.Config(app, log_level="error", lifespan="off", ws="websockets-sansio"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    yield Served(listening.getsockname()[1], folder)
    server.should_exit = True
    thread.join(20)


@pytest.fixture
def ball(served: Served) -> Path:
    path = served.folder / "ball.sdf"
    path.write_text(BALL)
    return path


@pytest.fixture(scope="session")
def first_page(served: Served) -> Iterator[Page]:
    page = Page(served)
    yield page
    page.close()


@pytest.fixture
def page(first_page: Page, ball: Path) -> Page:
    """A page that shows the ball. Its processes run already, so that a test takes no seconds."""
    first_page.news.clear()
    first_page.open("ball.sdf")
    first_page.told()
    return first_page
