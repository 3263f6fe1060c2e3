"""From a key press to its diagnostics: how long an editor waits for `fdifc lsp`.

    python benchmarks/editor.py

A client on the server's standard streams types a word into a file, letter by letter, and waits for the mistakes after
each. Files: a library of two small ones, the largest of the standard library, and one of nearly 64 KB.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import tempfile
import time
from pathlib import Path

from lsprotocol import types as lsp
from pygls.lsp.client import LanguageClient
from pygls.uris import from_fs_path

from fdif_dsl.compiler.frontend.built_in import standard_folder

KEYS = 60
PARTS = "use std\n\nfn half(x) = x / 2\n\nprofile coin(size = 3) { distance = length(q) - size }\n"
MAIN = "use solids\nuse parts\n\nshape rod = prism(coin(4))\nshape ball {\n  r ~ uniform(0.1, 0.2) * grid.min\n" \
       "  distance = length(p) - half(r)\n}\n"


async def measure(name: str, text: str, folder: Path) -> None:
    client, told = LanguageClient("editor", "1"), asyncio.Event()

    @client.feature(lsp.TEXT_DOCUMENT_PUBLISH_DIAGNOSTICS)
    def news(params: lsp.PublishDiagnosticsParams) -> None:
        if params.uri == uri:
            told.set()

    uri = from_fs_path(str(folder / name)) or ""
    await client.start_io(sys.executable, "-P", "-c", "from fdif_dsl.cli import main; main()", "lsp")
    await client.initialize_async(lsp.InitializeParams(lsp.ClientCapabilities(), root_uri=from_fs_path(str(folder))))
    client.initialized(lsp.InitializedParams())
    client.text_document_did_open(lsp.DidOpenTextDocumentParams(lsp.TextDocumentItem(uri, "sdf", 1, text)))
    await asyncio.sleep(5)  # what is unrolled in the beginning
    at = text.index("distance = ") + len("distance = ")
    took = []
    for i in range(KEYS):
        told.clear()
        start = time.perf_counter()
        # Another unknown name each time, so that there is something new to tell.
        client.text_document_did_change(lsp.DidChangeTextDocumentParams(
            lsp.VersionedTextDocumentIdentifier(i + 2, uri),
            [lsp.TextDocumentContentChangeWholeDocument(f"{text[:at]}{'xyzzy'[: i % 5 + 1]}{i} + {text[at:]}")]))
        await told.wait()
        took.append(1000 * (time.perf_counter() - start))
        await asyncio.sleep(0.12)  # as somebody types
    await client.shutdown_async(None)
    client.exit(None)
    took.sort()
    figures = statistics.median(took), took[int(0.95 * KEYS)], took[-1]
    print(f"| {len(text):,} characters | {' | '.join(f'{ms:.0f} ms' for ms in figures)} |")


async def main() -> None:
    print("| file | median | 95 of 100 below | most |\n| --- | --- | --- | --- |")
    classes = (standard_folder() / "classes.sdf").read_text("utf-8")
    more = "\nshape more{} {{\n  r ~ uniform(0.1, 0.2) * grid.min\n  distance = length(p) - r\n}}\n"
    large = classes + "".join(more.format(i) for i in range(620))
    for texts in ({"main.sdf": MAIN, "parts.sdf": PARTS}, {"main.sdf": classes}, {"main.sdf": large}):
        with tempfile.TemporaryDirectory() as folder:
            for name, text in texts.items():
                Path(folder, name).write_text(text, "utf-8")
            text = texts["main.sdf"]
            await measure("main.sdf", text + ("\nshape last { distance = 1 }\n" if "distance = " not in text else ""),
                          Path(folder))


if __name__ == "__main__":
    asyncio.run(main())
