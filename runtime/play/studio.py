"""The process that draws: it reads jobs, of each kind the newest, and answers with pictures.

A job is JSON, an answer is a parcel. Nothing else goes between the processes.
"""

from __future__ import annotations

import json
import math
import signal
import sys
from collections.abc import Callable, Iterator, Mapping
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np

from fdif_dsl.compiler.ir.grid import Grid
from fdif_dsl.grammar.diagnostics import FdifError
from fdif_dsl.runtime.pictures import palette
from fdif_dsl.runtime.play import volumes
from fdif_dsl.runtime.play.parcel import Json, pack
from fdif_dsl.runtime.play.png import png
from fdif_dsl.runtime.play.slices import slices
from fdif_dsl.runtime.play.solid import Camera, Frame, find_frame, solid
from fdif_dsl.runtime.play.subject import Choice, Formulas, NotDrawn, Subject
from fdif_dsl.runtime.recipe import recipes

Answer = tuple[Json, list[tuple[str, bytes]]]
KINDS = ("look", "draws", "thumb", "volume")
"""The kinds of job, the most urgent first."""
DRAWS = 12
SIDES = (64, 512)  # least and most pixels of a picture
_SEEDS = 2**53  # numbers that JavaScript counts exactly


class Studio:
    """What the process knows, and how it does each kind of job."""

    def __init__(self, root: Path, send: Callable[[bytes], None]) -> None:
        self.formulas = Formulas(root)
        self.send = send
        self._does: dict[str, Callable[[Json], Iterator[Answer]]] = {
            "look": self._look, "draws": self._draws, "thumb": self._thumb, "volume": self._volume}

    def run(self, job: Json) -> Iterator[Answer]:
        """The answers to a job. A mistake in it, or in the text, is an answer too; the last one says `done`."""
        head = {"is": job["do"], "id": job["id"]}
        try:
            for header, parts in self._does[job["do"]](job):
                yield {**head, **header}, parts
        except NotDrawn as why:
            yield {**head, "problem": str(why)}, []
        except FdifError as error:
            first = error.diagnostics[0]
            yield {**head, "problem": first.title, "hint": first.hint}, []
        except MemoryError:
            yield {**head, "problem": "there is not enough memory for that"}, []
        yield {**head, "done": True}, []

    # The view ---------------------------------------------------------------------------------

    def _look(self, job: Json) -> Iterator[Answer]:
        subject = self._subject(job)
        side = int(_number(job.get("side", 256), *SIDES))
        header: Json = {}
        parts: list[tuple[str, bytes]] = []
        if job.get("ranges"):
            header["quantities"] = {kind: found.to_json() for kind, found in subject.quantities.items()}
            header["choices"] = {kind: self.formulas.names(kind) for kind in ("displacement", "mapper")}
        else:
            header["values"] = {kind: {q.name: [_finite(found.slots[s]) for s in q.slots] for q in
                                       found.formula.quantities} for kind, found in subject.quantities.items()}
        frame, picture = _fitted(subject, _frame(job.get("frame")), _camera(job.get("camera")), side,
                                 bool(job.get("fine")))
        if frame is None:
            header["empty"] = _why_empty(subject)
        else:
            header["frame"] = [*frame.middle, frame.radius]
            parts.append(("solid", png(picture)))
        if (wanted := job.get("slices")) is not None:
            x, y, z = (_number(v, -1e4, 1e4) for v in wanted["at"])
            planes = slices(subject, (x, y, z), bool(wanted.get("grey")))
            parts += [(name, png(pixels)) for name, pixels in planes.items()]
            header["size"] = [int(n) for n in subject.grid.size]
        yield header, parts

    def _draws(self, job: Json) -> Iterator[Answer]:
        """A small picture of each of the next seeds."""
        side = int(_number(job.get("side", 128), *SIDES))
        for k in range(DRAWS):
            seed = (int(_number(job["seed"], 0, _SEEDS)) + k) % _SEEDS
            frame, picture = _fitted(self._subject({**job, "seed": seed, "held": {}}), None, _camera(job.get("camera")),
                                     side, False)
            yield {"place": k, "seed": seed}, [] if frame is None else [("solid", png(picture))]

    def _thumb(self, job: Json) -> Iterator[Answer]:
        """The picture of a class in the gallery."""
        subject = self._subject(job)
        if job["kind"] == "mapper":
            planes = slices(subject, (0, 0, 0), True)
            yield {"name": job["name"], "kind": job["kind"]}, [("solid", png(planes["z"]))]
            return
        frame, picture = _fitted(subject, None, Camera(), int(_number(job.get("side", 160), *SIDES)), True)
        yield ({"name": job["name"], "kind": job["kind"]}, [] if frame is None else [("solid", png(picture))])

    def _subject(self, job: Json) -> Subject:
        self.formulas.put(Path(job["path"]), job["text"])
        depth, height, width = (int(_number(n, 8, 256)) for n in job.get("grid", (96, 96, 96)))
        kind = job["kind"]
        displacement, mapper = (None if other == kind else job.get(other) or None
                                for other in ("displacement", "mapper"))
        return Subject(self.formulas, Choice(
            kind, job["name"], Grid((depth, height, width)), int(_number(job.get("seed", 0), 0, _SEEDS)),
            displacement, mapper, _held(job.get("held"))))

    # Volumes ----------------------------------------------------------------------------------

    def _volume(self, job: Json) -> Iterator[Answer]:
        side = int(_number(job.get("side", 64), volumes.SIDES[0], volumes.SIDES[-1]))
        seed, index = (int(_number(job.get(key, 0), 0, _SEEDS)) for key in ("seed", "index"))
        if name := job.get("recipe"):
            if name not in recipes():
                raise NotDrawn(f"there is no recipe `{name}`")
            recipe, library = volumes.of_recipe(name, side)
        else:
            recipe, library = self._own(job, side)
        head = {"is": job["do"], "id": job["id"]}
        about: Json = {}

        def progress(done: int, total: int) -> None:
            self.send(pack({**head, "compiled": [done, total]}, []))

        image, label = volumes.volume(recipe, library, seed, index, progress, about.update)
        yield about, [("image", image), ("label", label)]

    def _own(self, job: Json, side: int) -> tuple[Any, Any]:
        """A recipe of the classes of the page's text, with its textures or those that are chosen."""
        self.formulas.put(Path(job["path"]), job["text"])
        shapes = [name for name in job["shapes"] if isinstance(name, str)][:200]
        if not shapes:
            raise NotDrawn("the text has no shape to put into a volume")
        displacement, mapper = job.get("displacement"), job.get("mapper") or next(iter(self.formulas.names("mapper")))
        chosen = [("shape", name) for name in shapes] + [("mapper", mapper)]
        chosen += [("displacement", displacement)] if displacement else []
        formulas = [self.formulas.find(kind, name)[0] for kind, name in chosen]
        return volumes.of_formulas(formulas, side, int(_number(job.get("objects", 12), 1, 60)))


def _fitted(subject: Subject, frame: Frame | None, camera: Camera, side: int,
            fine: bool) -> tuple[Frame | None, np.ndarray]:
    """The picture in a frame; in one that fits, where there is none or nothing is seen in it."""
    colour = palette.DISPLACED if subject.choice.kind == "displacement" else palette.SOLID
    if frame is not None:
        picture = solid(subject.distance, frame, camera, side, fine=fine, colour=colour)
        if picture[..., 3].any():
            return frame, picture
    frame = find_frame(subject.distance, float(min(subject.grid.size)))
    if frame is None:
        return None, np.zeros((side, side, 4), np.uint8)
    return frame, solid(subject.distance, frame, camera, side, fine=fine, colour=colour)


def _why_empty(subject: Subject) -> str:
    at = np.linspace(-min(subject.grid.size) / 2, min(subject.grid.size) / 2, 24, dtype=np.float32)
    distance = subject.distance(*(c.ravel() for c in np.meshgrid(at, at, at)))
    if not np.isfinite(distance).any():
        kinds = [name for name, there in (("NaN", np.isnan(distance)), ("infinite", np.isinf(distance))) if there.any()]
        return f"No surface: the distance is {' or '.join(kinds)} everywhere."
    return "Nothing is inside: the distance is positive everywhere in the grid."


def _camera(given: Any) -> Camera:
    if not isinstance(given, Mapping):
        return Camera()
    return Camera(_number(given.get("azimuth", -58), -1e6, 1e6), _number(given.get("elevation", 26), -90, 90),
                  _number(given.get("zoom", 1), 0.1, 50))


def _frame(given: Any) -> Frame | None:
    if not isinstance(given, list) or len(given) != 4:
        return None
    x, y, z, radius = (_number(v, -1e5, 1e5) for v in given)
    return Frame((x, y, z), radius) if radius > 0 else None


def _held(given: Any) -> dict[str, dict[str, Any]]:
    """What a page holds, by kind and name. Whether it fits is checked where it is bound."""
    if not isinstance(given, Mapping):
        return {}
    return {kind: dict(values) for kind, values in given.items() if isinstance(values, Mapping)}


def _number(value: Any, least: float, most: float) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise NotDrawn("the page asked for something that is no number")
    return min(max(value, least), most)


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def main(connection: Connection, root: str) -> None:
    """Draw until the other end is closed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the server's to answer
    sys.stderr = None  # type: ignore[assignment]  # notes on kernels that are compiled are for terminals
    studio = Studio(Path(root), connection.send_bytes)
    studio.formulas.project.analyse()  # reads the standard library, before anybody waits for it
    waiting: dict[str, Json] = {}

    def answer(header: Json, parts: list[tuple[str, bytes]] | None = None) -> None:
        connection.send_bytes(pack(header, parts or []))

    def take(block: bool) -> None:
        while connection.poll(None if block and not waiting else 0):
            job = json.loads(connection.recv_bytes())
            if older := waiting.pop(job["slot"], None):
                answer({"is": older["do"], "id": older["id"], "done": True})
            waiting[job["slot"]] = job

    def urgent() -> str:
        return min(waiting, key=lambda slot: KINDS.index(waiting[slot]["do"]))

    def serve(above: int) -> None:
        """Do what is more urgent than the kind number `above`."""
        while waiting and KINDS.index(waiting[slot := urgent()]["do"]) < above:
            job = waiting.pop(slot)
            for header, parts in studio.run(job):
                answer(header, parts)
                take(False)
                if slot in waiting and not header.get("done"):  # a newer one of this kind
                    answer({"is": job["do"], "id": job["id"], "done": True})
                    break
                serve(KINDS.index(job["do"]))

    try:
        while True:
            take(True)
            serve(len(KINDS))
    except (EOFError, OSError):
        return
