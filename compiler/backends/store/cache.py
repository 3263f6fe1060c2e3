"""Where code is kept: one folder a target and fingerprint, in the user's cache folder or in `FDIF_CACHE_DIR`.

Reading needs no permission to write and no lock, as files appear whole. Where nothing can be written, what is
missing goes into a temporary folder of this process; and all of it, where others could write too.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import re
import shutil
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import platformdirs

from fdif_dsl.compiler.backends.store.objects import read_object
from fdif_dsl.compiler.backends.store.target import Target
from fdif_dsl.compiler.support.files import remove_leftovers
from fdif_dsl.compiler.support.locks import attempt
from fdif_dsl.compiler.support.progress import tell
from fdif_dsl.compiler.support.trust import exposure, make_folders

LOCK = ".lock"
_UNUSED = 30 * 24 * 3600.0  # seconds after which the folder of another fingerprint goes
_GLANCE = 0.2  # seconds between two looks at what another process has made
_SOON = 1.0  # seconds after which a user wants to know what is being waited for
_PATIENCE = 120.0  # seconds without a new kernel after which nobody is believed to be at work


def folder(target: Target) -> Path:
    """The folder of a target's kernels; it need not exist."""
    root = os.environ.get("FDIF_CACHE_DIR") or platformdirs.user_cache_dir("fdif-dsl")
    return Path(root) / target.name / target.fingerprint()


def find(target: Target, symbols: Iterable[str]) -> dict[str, bytes]:
    """The code of those symbols that are kept."""
    own = folder(target)
    places = [*([] if _exposed(own) else [own]), *(spare / target.name for spare in _spares)]
    found = {}
    for symbol in symbols:
        for place in places:
            code = read_object(place / f"{symbol}.o")
            if code is not None:
                found[symbol] = code
                break
    return found


def touch(target: Target) -> None:
    """Notes that the folder is in use."""
    with contextlib.suppress(OSError):
        os.utime(folder(target))


def writable(target: Target) -> Path:
    """The folder that new code goes into, made if need be."""
    place = folder(target)
    if place not in _refused and not _exposed(place):
        try:
            new = not place.is_dir()
            make_folders(place)
            with tempfile.TemporaryFile(dir=place):
                pass
            if new:
                _remove_unused(place)
            return place
        except OSError as error:
            return spare(target, error)
    return _spare(target)


def spare(target: Target, error: OSError) -> Path:
    """Another folder for this process, since `error` keeps it from writing to the cache. Said once."""
    place = folder(target)
    if place not in _refused:
        _refused.add(place)
        tell(f"kernels cannot be kept in {place} ({(error.strerror or str(error)).lower()}): each process compiles "
             "them anew; let FDIF_CACHE_DIR name another folder")
    return _spare(target)


def _exposed(place: Path) -> bool:
    """Whether others could put code into a folder of the cache, which is not used then. Said once."""
    found = exposure(place)
    if found and place not in _refused:
        _refused.add(place)
        tell(f"kernels in {place} are not used, as others could change them: {found.why}. Each process compiles them "
             f"anew; {found.hint('let FDIF_CACHE_DIR name another folder')}")
    return found is not None


def is_spare(place: Path) -> bool:
    return place.parent in _spares


_refused: set[Path] = set()
_spares: list[Path] = []


def _spare(target: Target) -> Path:
    place = _spare_root() / target.name
    place.mkdir(exist_ok=True)
    return place


def _spare_root() -> Path:
    for place in _spares:  # a forked process shares that of its parent, for as long as there is one
        if place.is_dir():
            return place
    made = Path(tempfile.mkdtemp(prefix="fdif-dsl-"))
    owner = os.getpid()

    def remove() -> None:
        if os.getpid() == owner:
            shutil.rmtree(made, ignore_errors=True)

    atexit.register(remove)
    _spares.append(made)
    return made


def _remove_unused(current: Path) -> None:
    """Removes the folders of fingerprints that nobody has used for a month."""
    with contextlib.suppress(OSError):
        for place in current.parent.iterdir():
            # Nothing but what this module has made; a name with a dot is one that is being removed.
            if place == current or not re.fullmatch(r"\.?[0-9a-f]{20}", place.name):
                continue
            with contextlib.suppress(OSError):
                going = place.with_name("." + place.name.lstrip("."))
                if place != going:
                    if time.time() - place.stat().st_mtime < _UNUSED:
                        continue
                    place.rename(going)  # at once, so that nobody finds half of it
                shutil.rmtree(going, ignore_errors=True)


@contextmanager
def turn(place: Path, done: Callable[[], bool]) -> Iterator[None]:
    """The right to compile into `place`, which one process or thread has at a time.

    While another has it, `done` is asked now and then whether there is still something to do; when it says
    that there is not, the block is entered without waiting further. Without it goes also where a file system has no
    locks, and where whoever holds one makes nothing any more: then a kernel may be compiled twice, no worse.
    """
    held, told = None, False
    begun = moved = time.monotonic()
    state = _state(place)
    try:
        while True:
            try:
                held = attempt(place / LOCK, _GLANCE)
            except OSError:
                break
            if held is not None:
                remove_leftovers(place)
                break
            if done():
                break
            now = time.monotonic()
            if (latest := _state(place)) != state:
                state, moved = latest, now
            if now - moved > _PATIENCE:
                break
            if not told and now - begun > _SOON:
                tell("waiting for another process, which is compiling")
                told = True
        yield
    finally:
        if held is not None:
            held.release()


def _state(place: Path) -> int:
    """A number that changes with every file that is added."""
    try:
        return place.stat().st_mtime_ns
    except OSError:
        return 0
