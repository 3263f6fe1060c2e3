"""Code for units: from the cache, from an artefact, or compiled."""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from fdif_dsl.compiler.backends.store import cache
from fdif_dsl.compiler.backends.store.refusal import check_folder, read_file, refusal
from fdif_dsl.compiler.backends.store.target import Target
from fdif_dsl.compiler.backends.store.unit import Unit
from fdif_dsl.compiler.backends.store.workers import compile_units
from fdif_dsl.compiler.support.files import write_bytes
from fdif_dsl.compiler.support.progress import Progress, first_use
from fdif_dsl.compiler.support.trust import exposure, file_mode, read_guarded

_INDEX = "kernels.json"
_FORMAT = 2


class Built(NamedTuple):
    """How many kernels this process compiled, and how many were there already."""

    compiled: int
    reused: int


def build(target: Target, units: Iterable[Unit], progress: Progress | None = None,
          workers: int | None = None) -> dict[str, bytes]:
    """The code of each unit by symbol, from the cache or compiled into it.

    Processes and threads that need the same take turns, so that nothing is compiled twice. `progress(done,
    total)` is told about missing units; it is not called when there are none. Without it the user sees a bar or
    a line.

    Raises:
        OSError: where neither the cache nor a temporary folder can be written.
    """
    return _provide(target, units, progress, workers, {})[0]


def _provide(target: Target, units: Iterable[Unit], progress: Progress | None, workers: int | None,
             known: Mapping[str, bytes]) -> tuple[dict[str, bytes], Built]:
    wanted = {unit.symbol: unit for unit in units}
    found = {symbol: known[symbol] for symbol in wanted if symbol in known}
    if len(found) < len(wanted):
        cache.touch(target)
        found |= cache.find(target, (symbol for symbol in wanted if symbol not in found))
    missing = [unit for symbol, unit in wanted.items() if symbol not in found]
    compiled = 0
    if missing:
        with first_use() if progress is None else contextlib.nullcontext(progress) as advance:
            made, compiled = _fill_somewhere(target, missing, advance, workers)
        found |= made
    return found, Built(compiled, len(wanted) - compiled)


def _fill_somewhere(target: Target, missing: Sequence[Unit], progress: Progress,
                    workers: int | None) -> tuple[dict[str, bytes], int]:
    folder = cache.writable(target)
    try:
        return _fill(target, missing, folder, progress, workers)
    except OSError as error:
        # A full disk, for example. What has nothing to do with the folder would fail elsewhere too.
        if cache.is_spare(folder) or error.filename is None or Path(error.filename).parent != folder:
            raise
        return _fill(target, missing, cache.spare(target, error), progress, workers)


def _fill(target: Target, missing: Sequence[Unit], folder: Path, progress: Progress,
          workers: int | None) -> tuple[dict[str, bytes], int]:
    """The object code of the units, which now is in `folder`, and how many of them were compiled here."""
    found: dict[str, bytes] = {}
    total = len(missing)

    def arrived() -> bool:
        found.update(cache.find(target, (unit.symbol for unit in missing if unit.symbol not in found)))
        if found:
            progress(len(found), total)
        return len(found) == total

    with cache.turn(folder, arrived):
        arrived()  # what another process made before it was this one's turn
        rest = [unit for unit in missing if unit.symbol not in found]
        if rest:
            for unit in rest:
                write_bytes(folder / f"{unit.symbol}.py", unit.source.encode(), file_mode(folder))
            before = len(found)
            found |= compile_units(target, rest, folder, lambda done, _: progress(before + done, total), workers)
    return found, len(rest)


# Artefacts --------------------------------------------------------------------------------------


def save(target: Target, directory: Path | str, units: Sequence[Unit], progress: Progress | None = None,
         old: Path | str | None = None) -> Built:
    """Write the units' code, their sources and an index into `directory`, building what is missing. The index comes
    last: a folder without one is not an artefact. What fits in `old`, another such folder, is taken from there."""
    directory = Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    codes, built = _provide(target, units, progress, None, {} if old is None else _reusable(target, Path(old)))
    (directory / _INDEX).unlink(missing_ok=True)
    kernels = {}
    for unit in units:
        write_bytes(directory / f"{unit.symbol}.py", unit.source.encode())
        files = target.files(unit.symbol, codes[unit.symbol])
        for name, data in files.items():
            write_bytes(directory / name, data)
        kernels[unit.symbol] = {name: hashlib.sha256(data).hexdigest() for name, data in files.items()}
    index = {"format": _FORMAT, "fingerprint": target.fingerprint(), **target.facts(), "kernels": kernels}
    write_bytes(directory / _INDEX, json.dumps(index, indent=1, sort_keys=True).encode())
    return built


def _reusable(target: Target, directory: Path) -> dict[str, bytes]:
    """The code in a folder that `save` wrote, as far as it is whole and would come out the same today; nothing where
    others could change it."""
    if exposure(directory):
        return {}
    try:
        index = json.loads(read_guarded(directory / _INDEX))
        if index["format"] != _FORMAT or index["fingerprint"] != target.fingerprint():
            return {}
        expected = _checksums(index)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}
    codes = {}
    for symbol, checksums in expected.items():
        with contextlib.suppress(OSError, ValueError):
            files = {name: read_guarded(directory / name) for name in checksums}
            if {name: hashlib.sha256(data).hexdigest() for name, data in files.items()} == checksums:
                codes[symbol] = target.code(files)
    return codes


def load(target: Target, directory: Path | str) -> dict[str, bytes]:
    """The code by symbol of a folder that `save` wrote, each piece checked. Compiles nothing.

    What comes from there runs as machine code: load only what you trust.
    """
    directory = Path(directory)
    check_folder(directory)
    try:
        index = json.loads(read_file(directory / _INDEX))
        stored_format = index["format"]
        if stored_format == _FORMAT:
            expected = _checksums(index)
            target.check(index, directory)
    except FileNotFoundError:
        raise refusal(directory, "E0701", f"holds no kernels for the target {target.name}") from None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise refusal(directory / _INDEX, "E0701", "is damaged", repr(error)) from None
    if stored_format != _FORMAT:
        raise refusal(directory, "E0703", "was compiled by another version of fdif-dsl")
    codes = {}
    for symbol, checksums in expected.items():
        files = {}
        for name, checksum in checksums.items():
            path = directory / name
            try:
                files[name] = read_file(path)
            except OSError:
                raise refusal(path, "E0701", "lacks one of its files") from None
            if hashlib.sha256(files[name]).hexdigest() != checksum:
                raise refusal(path, "E0701", "is damaged", "its checksum is not the one in the index")
        codes[symbol] = target.code(files)
    return codes


def _checksums(index: dict[str, Any]) -> dict[str, dict[str, str]]:
    """By symbol, the files of each kernel with their checksums.

    Raises:
        ValueError: a name leads out of the folder.
    """
    names = [str(name) for files in index["kernels"].values() for name in files]
    if leading := next((name for name in names if Path(name).name != name), None):
        raise ValueError(f"{leading!r} is no name of a file")
    return {str(symbol): {str(name): str(checksum) for name, checksum in files.items()}
            for symbol, files in index["kernels"].items()}
