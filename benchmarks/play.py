"""The playground: from a key press to its diagnostics and to the new picture, and the pictures of a moving slider.

    python benchmarks/play.py

`fdifc play` runs as a program, and this is its page: it sends over the connection what a page sends, one message after
the other. Beside the time that passed stands that of the processor, in the server and in the process that draws, as
others may be at work on the machine.
"""

from __future__ import annotations

import itertools
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from websockets.sync.client import connect

from fdif_dsl.compiler.frontend.built_in import standard_folder
from fdif_dsl.compiler.ir.graph import reachable
from fdif_dsl.compiler.library import load_library
from fdif_dsl.runtime.play.parcel import unpack

KEYS, EDITS, MOVES = 40, 15, 60
TEXT = """use sections
use solids

profile bent(section: profile) {{ distance = section(q) + {term} * sin(q.x) }}

shape edited = {formula}
"""


def median_class() -> tuple[str, str, int]:
    """The prism of median size among the classes: its name, its text and its operations."""
    library = load_library()
    sizes = sorted((len(reachable([shape.formula.result])), name) for name, shape in library.shapes.items())
    text = (standard_folder() / "classes.sdf").read_text("utf-8")
    found = dict(re.findall(r"^shape (\w+) += prism\((.*)\)$", text, re.MULTILINE))
    middle = len(sizes) // 2
    size, name = min((one for one in sizes if one[1] in found), key=lambda one: abs(sizes.index(one) - middle))
    return name, f"prism(bent({found[name]}))", size


class Page:
    """What a page does."""

    def __init__(self, address: str, process: int) -> None:
        self.process, self.number, self.version, self.text = process, itertools.count(1), 0, ""
        origin = "/".join(address.split("/")[:3])
        self.connection = connect(address.replace("http", "ws") + "socket", origin=origin, max_size=2**26)
        self.socket = self.connection.__enter__()

    def hear(self) -> dict[str, Any]:
        message = self.socket.recv(300)
        return unpack(message)[0] if isinstance(message, bytes) else json.loads(message)

    def until(self, wanted: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        while True:
            if wanted(message := self.hear()):
                return message

    def send(self, do: str, **fields: Any) -> int:
        number = next(self.number)
        self.socket.send(json.dumps({"do": do, "id": number, **fields}))
        return number

    def open(self, file: str) -> None:
        number = self.send("open", file=file)
        self.version = self.until(lambda m: m.get("id") == number)["version"]
        self.told()
        self.file = file

    def type(self, text: str) -> None:
        self.version += 1
        self.send("text", file=self.file, text=text, version=self.version)
        self.told()

    def told(self) -> None:
        self.until(lambda m: m["is"] == "told" and m["version"] == self.version)

    def look(self, **fields: Any) -> dict[str, Any]:
        usual = {"kind": "shape", "name": "edited", "side": 256, "slices": {"at": [0, 0, 0]}}
        number = self.send("look", **{**usual, **fields})
        answer = self.until(lambda m: m.get("id") == number)
        assert "problem" not in answer, answer
        self.until(lambda m: m.get("id") == number and m.get("done"))
        return answer

    def processor(self) -> float:
        """Seconds of the processor that the server and its processes have had."""
        ticks = os.sysconf("SC_CLK_TCK")
        total, wanted = 0.0, {self.process}
        for path in sorted(Path("/proc").glob("[0-9]*/stat"), key=lambda p: int(p.parent.name)):
            try:
                fields = path.read_text().rpartition(")")[2].split()
            except OSError:
                continue
            number = int(path.parent.name)
            if number in wanted or int(fields[1]) in wanted:
                wanted.add(number)
                total += (int(fields[11]) + int(fields[12])) / ticks
        return total


def measure(page: Page, what: str, times: int, act: Callable[[int], None]) -> None:
    """A row of the table."""
    took, before = [], page.processor()
    for i in range(times):
        start = time.perf_counter()
        act(i)
        took.append(1000 * (time.perf_counter() - start))
    busy = 1000 * (page.processor() - before) / times
    took.sort()
    figures = statistics.median(took), took[int(0.95 * times)], took[0], busy
    print(f"| {what} | {' | '.join(f'{ms:.0f} ms' for ms in figures)} |", flush=True)


def main() -> None:
    name, formula, size = median_class()
    classes = (standard_folder() / "classes.sdf").read_text("utf-8")
    print(f"The median class is `{name}`, of {size} operations. Load of the machine: {os.getloadavg()[0]:.1f}\n")
    print("| what | median | 95 of 100 below | least | of the processor |\n| --- | --- | --- | --- | --- |")
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "edited.sdf").write_text(TEXT.format(term=0.01, formula=formula), "utf-8")
        Path(folder, "many.sdf").write_text(classes, "utf-8")
        command = [sys.executable, "-u", "-P", "-c", "from fdif_dsl.cli import main; main()", "play", "--no-browser",
                   "--port", "0"]
        with subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            address = next(found[0] for line in process.stdout if (found := re.search(r"http://\S+", line)))
            page = Page(address, process.pid)
            page.open("edited.sdf")
            frame = page.look(ranges=True)["frame"]
            time.sleep(2)

            # Another number each time, so that no kernel is in the cache.
            seed = time.time_ns() % 10**6
            text = TEXT.format(term=0.01, formula=formula)
            measure(page, f"key press to diagnostics, {len(text)} characters", KEYS,
                    lambda i: page.type(text.replace("sin(", f"{'xyzzy'[: i % 5 + 1]}{i} + sin(")))
            page.type(text)

            def edit(i: int) -> None:
                page.type(TEXT.format(term=f"0.0{seed}{i}", formula=formula))
                page.look(ranges=True)

            measure(page, "key press to the picture of an edited class", EDITS, edit)
            page.look(ranges=True)
            for what, slices in (("solid and three slices", {"at": [0, 0, 0]}), ("solid alone", None)):
                measure(page, f"a slider's picture at 256 x 256: {what}", MOVES, lambda i, slices=slices: page.look(
                    held={"shape": {"height": 20.0 + i / 4}}, frame=frame, slices=slices))
            page.open("many.sdf")
            time.sleep(10)  # what is unrolled in the beginning
            measure(page, f"key press to diagnostics, {len(classes):,} characters, 109 classes", KEYS,
                    lambda i: page.type(classes + f"\nshape last {{ distance = {'xyzzy'[: i % 5 + 1]}{i} }}\n"))
            page.connection.__exit__(None, None, None)
            process.terminate()


if __name__ == "__main__":
    main()
