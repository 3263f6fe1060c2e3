"""One open page: what it asks, and what it is told.

Messages are JSON, but for answers with pictures, which are bytes as `studio` packs them. Only data comes from a page:
the names of files go through `folder`, and a text is only ever read as the language.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from starlette.websockets import WebSocket, WebSocketDisconnect

from fdif_dsl.compiler.frontend.built_in import standard_files
from fdif_dsl.runtime.play.folder import STANDARD, Folder, Opened, Refused
from fdif_dsl.runtime.play.worker import Worker
from fdif_dsl.runtime.play.writing import Writing, formatted
from fdif_dsl.runtime.recipe import recipes

Json = dict[str, Any]
WATCH = 0.7  # seconds from look to look at the files on disk
_NEW = "untitled"
_JOB = {"look": ("kind", "name", "grid", "seed", "displacement", "mapper", "held", "camera", "frame", "side", "fine",
                 "slices", "ranges"),
        "draws": ("kind", "name", "grid", "seed", "displacement", "mapper", "camera", "side"),
        "thumb": ("kind", "name", "side"),
        "volume": ("recipe", "side", "seed", "index", "objects", "displacement", "mapper")}
"""What a job takes of a page's message; all else in it is left out."""


class Page:
    """A page and its connection."""

    def __init__(self, folder: Folder, socket: WebSocket, first: str | None) -> None:
        self.folder, self.socket, self.first = folder, socket, first
        self.file: str = ""  # its name
        self.path = folder.root / f"{_NEW}.sdf"
        self.text = ""
        self.stamp = ""  # of the file on disk, as the page knows it
        self.version = 0
        self.writing = Writing(folder.root)
        self.thread = ThreadPoolExecutor(1, thread_name_prefix="fdif-writing")
        self.thread.submit(lambda: self.writing.editor.analysis)  # reads the standard library, before anybody waits
        self.pictures = Worker(folder.root, self._deliver)
        self.slow = Worker(folder.root, self._deliver)  # volumes and the gallery
        self._typed = asyncio.Event()
        self._questions = 0
        self._out: asyncio.Queue[Json | bytes] = asyncio.Queue()
        self._gallery: list[Json] = []
        self._does: dict[str, Callable[[Json], Awaitable[Json | None]]] = {
            "open": self._open, "new": self._new, "text": self._put, "save": self._save, "files": self._files,
            "gallery": self._show_gallery, "complete": self._complete, "hover": self._hover,
            "signature": self._signature, "format": self._format, "place": self._place, "recipes": self._recipes,
            "look": self._picture, "draws": self._picture, "thumb": self._thumb, "volume": self._volume}

    async def run(self) -> None:
        """Answer until the page is closed."""
        tasks = [asyncio.create_task(work()) for work in (self._read, self._write, self._check, self._watch)]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            ended = await asyncio.gather(*tasks, return_exceptions=True)
            self.thread.shutdown(wait=False, cancel_futures=True)
            self.pictures.close()
            self.slow.close()
        for error in ended:
            if isinstance(error, Exception) and not isinstance(error, WebSocketDisconnect | OSError):
                raise error

    # The connection ---------------------------------------------------------------------------

    async def _read(self) -> None:
        await self.socket.accept()
        self._send({"is": "hello", "first": self.first, "folder": self.folder.root.name,
                    "standard": STANDARD})
        self.pictures.start()
        while True:
            try:
                message = json.loads(await self.socket.receive_text())
                act = self._does[message["do"]]
            except (ValueError, TypeError, KeyError):
                self._send({"is": "problem", "problem": "the page sent something that is no message"})
                continue
            try:
                answer = await act(message)
            except Refused as refused:
                answer = {"problem": str(refused), "changed": refused.changed}
            except (KeyError, TypeError, ValueError, AttributeError):
                answer = {"problem": "the page sent something that is no message"}
            if answer is not None:
                self._send({"is": message["do"], "id": message.get("id"), **answer})

    async def _write(self) -> None:
        while True:
            one = await self._out.get()
            if isinstance(one, bytes):
                await self.socket.send_bytes(one)
            else:
                await self.socket.send_text(json.dumps(one))

    def _send(self, message: Json) -> None:
        self._out.put_nowait(message)

    def _deliver(self, answer: bytes) -> None:
        self._out.put_nowait(answer)

    # Files ------------------------------------------------------------------------------------

    async def _files(self, message: Json) -> Json:
        return {"files": await asyncio.to_thread(self.folder.list)}

    async def _open(self, message: Json) -> Json:
        opened = await asyncio.to_thread(self.folder.open, message["file"])
        return self._have(opened)

    async def _new(self, message: Json) -> Json:
        """A text without a file; its name is one that no file has."""
        there = set(await asyncio.to_thread(self.folder.list))
        name = next(n for k in range(1, 10_000) if (n := f"{_NEW}{k if k > 1 else ''}.sdf") not in there)
        return self._have(Opened(name, str(message.get("text", "")), "", True))

    def _have(self, opened: Opened) -> Json:
        self.path = self.folder.path(opened.name)
        self.file, self.stamp, self.text = opened.name, opened.stamp, opened.text
        self.version += 1
        self._typed.set()
        return {"file": opened.name, "text": opened.text, "stamp": opened.stamp, "own": opened.own,
                "version": self.version}

    async def _save(self, message: Json) -> Json:
        """Save the text under a name. `stamp` is what the page believes to be on disk; null: whatever is there."""
        name, text, stamp = message["file"], message["text"], message.get("stamp")
        if not isinstance(text, str) or not (stamp is None or isinstance(stamp, str)):
            raise Refused("the page sent something that is no text")
        saved = await asyncio.to_thread(self.folder.save, name, text, stamp)
        return self._have(saved) | {"saved": True}

    async def _watch(self) -> None:
        """Tell the page when its file is another on disk than it knows."""
        told: tuple[str, str] | None = None
        while True:
            await asyncio.sleep(WATCH)
            for worker in (self.pictures, self.slow):
                worker.look_after()
            if not self.file or not self.stamp or self.file.startswith(STANDARD):
                continue
            name, known = self.file, self.stamp
            now = await asyncio.to_thread(self.folder.stamp, name)
            if (name, known) != (self.file, self.stamp) or now == known:
                if now == known:
                    told = None
                continue
            if told != (name, now):
                told = name, now
                news: Json = {"is": "disk", "file": name, "gone": not now}
                if now:
                    with contextlib.suppress(Refused):
                        opened = await asyncio.to_thread(self.folder.open, name)
                        news |= {"text": opened.text, "stamp": opened.stamp}
                self._send(news)

    # Text -------------------------------------------------------------------------------------

    async def _put(self, message: Json) -> None:
        if isinstance(message["text"], str) and message.get("file") == self.file:
            self.text, self.version = message["text"], int(message["version"])
            if "stamp" in message:  # the page has taken in what is on disk
                self.stamp = str(message["stamp"])
            self._typed.set()

    async def _check(self) -> None:
        """Tell the mistakes of the newest text, first those that show at once."""
        while True:
            await self._typed.wait()
            self._typed.clear()
            version, start = self.version, time.perf_counter()
            told = await self._ask(self.writing.told)
            self._send({"is": "told", "version": version, "file": self.file, **told,
                        "ms": round(1000 * (time.perf_counter() - start), 1)})

            def stale() -> bool:
                return self._typed.is_set() or self._questions > 0

            while not self._typed.is_set() and not await self._ask(lambda: self.writing.deepen(stale)):
                await asyncio.sleep(0)
            if not self._typed.is_set():
                deeper = await self._ask(self.writing.told)
                if deeper != told:
                    self._send({"is": "told", "version": version, "file": self.file, **deeper})

    async def _ask(self, question: Callable[[], Any]) -> Any:
        """Ask about the newest text, on the page's thread."""
        def asked() -> Any:
            self.writing.put(self.path, self.text)
            return question()

        return await asyncio.get_running_loop().run_in_executor(self.thread, asked)

    async def _question(self, question: Callable[[], Any]) -> Any:
        """The same, before what is not urgent."""
        if not self.file:
            return None
        self._questions += 1
        try:
            return await self._ask(question)
        finally:
            self._questions -= 1

    async def _complete(self, message: Json) -> Json:
        line, character = int(message["line"]), int(message["character"])
        return {"items": await self._question(lambda: self.writing.complete(line, character)) or []}

    async def _hover(self, message: Json) -> Json:
        line, character = int(message["line"]), int(message["character"])
        return {"hover": await self._question(lambda: self.writing.hover(line, character))}

    async def _signature(self, message: Json) -> Json:
        line, character = int(message["line"]), int(message["character"])
        return {"signature": await self._question(lambda: self.writing.signature(line, character))}

    async def _place(self, message: Json) -> Json:
        line, character = int(message["line"]), int(message["character"])
        found = await self._question(lambda: self.writing.place(line, character))
        if found is None:
            return {"file": None}
        known = {path.resolve(): f"{STANDARD}{path.name}" for path in standard_files()}
        return {"file": known.get(found["path"]) or self.folder.name(found["path"]), "line": found["line"]}

    async def _format(self, message: Json) -> Json:
        return {"text": await self._question(lambda: formatted(self.text))}

    # Pictures ---------------------------------------------------------------------------------

    def _job(self, message: Json, path: Path, text: str, slot: str = "") -> Json:
        do = message["do"]
        return {"do": do, "slot": slot or do, "id": int(message["id"]),
                **{key: message[key] for key in _JOB[do] if key in message}, "path": str(path), "text": text}

    async def _picture(self, message: Json) -> None:
        if self.file:
            self.pictures.ask(self._job(message, self.path, self.text))

    async def _volume(self, message: Json) -> Json | None:
        if not message.get("recipe") and not self.file:
            return {"problem": "there is no text yet"}
        job = self._job(message, self.path, self.text)
        if not message.get("recipe"):
            classes = await self._question(self.writing.classes) or []
            job["shapes"] = [one["name"] for one in classes if one["kind"] == "shape" and not one["broken"]]
        self.slow.ask(job)
        return None

    async def _recipes(self, message: Json) -> Json:
        return {"recipes": recipes()}

    async def _show_gallery(self, message: Json) -> Json:
        if not self._gallery:
            self._gallery = await asyncio.to_thread(_standard, self.folder)
        return {"classes": self._gallery}

    async def _thumb(self, message: Json) -> None:
        """A picture of the gallery; each has its own slot, so that none takes another's place."""
        path = self.folder.path(message["file"])
        text = (await asyncio.to_thread(self.folder.open, message["file"])).text
        self.slow.ask(self._job(message, path, text, f"thumb {message['kind']} {message['name']}"))


def _standard(folder: Folder) -> list[Json]:
    """All that there are pictures of in the standard library, file by file."""
    writing = Writing(folder.root)
    return [{"file": f"{STANDARD}{path.name}", "module": path.stem, **one}
            for path in standard_files() for one in writing.classes(path.resolve())]
