"""Checks a data set: that its files are what was written, and that a sample of them can be made again."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from fdif_dsl.compiler.frontend.built_in import STANDARD, is_library
from fdif_dsl.grammar.diagnostics import Diagnostic, FdifError
from fdif_dsl.runtime.datasets import make_format
from fdif_dsl.runtime.datasets.blosc import read_b2nd
from fdif_dsl.runtime.datasets.case import draw, encode
from fdif_dsl.runtime.datasets.manifest import MANIFEST, Manifest, damaged, file_digest
from fdif_dsl.runtime.datasets.plan import Plan
from fdif_dsl.runtime.datasets.record import Record
from fdif_dsl.runtime.datasets.write import Bar, silent
from fdif_dsl.runtime.recipe import Placement, Recipe, Scanner
from fdif_dsl.runtime.scenes.unions import with_unions
from fdif_dsl.runtime.streams.ahead import ahead

if TYPE_CHECKING:
    from fdif_dsl.compiler.library import Library


def read_plan(library: Library, manifest: Manifest, where: Path) -> Plan:
    """The plan that a manifest was made for.

    Raises:
        FdifError: where the library is another one, or the manifest was changed.
    """
    data = manifest.identity
    try:
        shapes, unions, seed = data["classes"]["shapes"], data["unions"], data["seed"]
        form = make_format(data["format"]["name"], data["format"]["level"])
        recipe = Recipe(**data["volume"], **data["classes"], placement=Placement(**data["placement"]),
                        scanner=Scanner(**data.get("scanner", {})))
        if unions:
            library, _ = with_unions(library, None if shapes == "all" else shapes, seed, unions)
        if library.hash != data["library"]:
            raise FdifError(Diagnostic(
                "E0887", f"{where} was made from another library", where="--library",
                why=f"its hash is {data['library'][:12]} there, and {library.hash[:12]} here",
                hint="name the library that it was made from; with --sample 0 only checksums are compared"))
        return Plan(library, recipe, data["recipe"], data["title"], seed, manifest.counts, form, data["scenes"], unions)
    except (LookupError, TypeError, ValueError):
        raise damaged(where / MANIFEST, "it was changed by something else, or damaged") from None


def named(manifest: Manifest) -> Sequence[str]:
    """The built-in libraries that the recipe of a data set names."""
    classes = manifest.identity.get("classes")
    names = classes.get("library") if isinstance(classes, dict) else None
    return names if isinstance(names, list) and names and all(map(is_library, names)) else (STANDARD,)


def check_files(directory: Path, manifest: Manifest, bar: Bar = silent) -> tuple[list[str], list[str]]:
    """The paths of files that are missing, and of those that are not what was written."""
    checksums = {path: checksum for record in manifest.records.values() for path, checksum in record.files.items()}
    checksums |= manifest.lists or {}
    missing, changed = [], []
    with bar("files") as advance:
        look = ahead(lambda path: (path, file_digest(directory / path)), checksums)
        for done, (path, found) in enumerate(look):
            if found is None:
                missing.append(path)
            elif found != checksums[path]:
                changed.append(path)
            advance(done + 1, len(checksums))
    return missing, changed


def render_again(plan: Plan, directory: Path, records: Sequence[Record], bar: Bar = silent) -> list[str]:
    """The paths of files whose content is not what is rendered now. Files are compared unpacked, since another version
    of a compressor may pack the same voxels in another way."""
    different = []
    with bar("rendering") as advance:
        for done, paths in enumerate(ahead(lambda record: _differences(plan, directory, record), records)):
            different += paths
            advance(done + 1, len(records))
    return different


def spread(records: Sequence[Record], count: int) -> list[Record]:
    """`count` of the records, evenly spread, the first and the last among them; all if there are no more."""
    if count >= len(records):
        return list(records)
    return [records[i * (len(records) - 1) // max(count - 1, 1)] for i in range(count)]


def _differences(plan: Plan, directory: Path, record: Record) -> list[str]:
    made = encode(plan, record.case, *draw(plan, record.case))
    return [path for path, data in made.items() if not _same(directory / path, data)]


def _same(path: Path, data: bytes) -> bool:
    try:
        found = path.read_bytes()
        return found == data or _unpacked(path.name, found) == _unpacked(path.name, data)
    except (OSError, ValueError, RuntimeError, zlib.error, EOFError):
        return False


def _unpacked(name: str, data: bytes) -> bytes:
    if name.endswith(".gz"):
        return gzip.decompress(data)
    return read_b2nd(data).tobytes() if name.endswith(".b2nd") else data
