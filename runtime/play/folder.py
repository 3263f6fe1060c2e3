"""The files that a page may open: `.sdf` files of one folder and below, and read-only those of the standard library."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from fdif_dsl.compiler.frontend.built_in import standard_files
from fdif_dsl.compiler.support.files import replacing

STANDARD = "<standard>/"
MOST = 1 << 20  # bytes of a file that is opened; the language takes far fewer
_FILES, _FOLDERS = 500, 2000  # that are listed, and looked through
_PASSED_OVER = {"node_modules", "build", "dist", "venv", "site-packages", "__pycache__"}


class Refused(Exception):
    """A file that cannot be opened or saved, in one sentence for whoever asked. `changed`: only because it is another
    than was opened."""

    def __init__(self, why: str, changed: bool = False) -> None:
        super().__init__(why)
        self.changed = changed


@dataclass(frozen=True)
class Opened:
    """A file as it is on disk. `stamp` tells one content from another."""

    name: str
    text: str
    stamp: str
    own: bool  # that it may be saved


class Folder:
    """The folder that the program was started in."""

    def __init__(self, root: Path) -> None:
        self.root = root.resolve()

    def path(self, name: str) -> Path:
        """The path of a file, without links, by its name, relative to the folder and with slashes.

        Raises:
            Refused: where it leads out of the folder, by a link too, or is no `.sdf` file.
        """
        if not isinstance(name, str) or not name or len(name) > 400 or "\0" in name or "\\" in name:
            raise Refused("that is no name of a file")
        if name.startswith(STANDARD):
            known = {path.name: path for path in standard_files()}
            if name.removeprefix(STANDARD) not in known:
                raise Refused(f"the standard library has no file {name.removeprefix(STANDARD)}")
            return known[name.removeprefix(STANDARD)].resolve()
        pure = PurePosixPath(name)
        if pure.is_absolute() or ".." in pure.parts or any(part[0] in ".~" for part in pure.parts):
            raise Refused(f"{name} is not in the folder that the playground was started in")
        if pure.suffix != ".sdf":
            raise Refused(f"{name} does not end in .sdf")
        try:
            path = self.root.joinpath(*pure.parts).resolve()
        except (OSError, RuntimeError, ValueError):
            raise Refused(f"{name} cannot be followed") from None
        if not path.is_relative_to(self.root):
            raise Refused(f"{name} leads out of the folder that the playground was started in")
        return path

    def name(self, path: Path) -> str:
        """The name of a path, as `path` takes it.

        Raises:
            Refused: where it does not lie in the folder.
        """
        try:
            return path.resolve().relative_to(self.root).as_posix()
        except (OSError, RuntimeError, ValueError):
            raise Refused(f"{path} is not in the folder {self.root}") from None

    def list(self) -> list[str]:
        """The `.sdf` files of the folder and below."""
        return list(_names(self.root))

    def open(self, name: str) -> Opened:
        """A file's text.

        Raises:
            Refused: where it is not there, or no text.
        """
        path = self.path(name)
        data = _read(path, name)
        try:
            text = data.decode("utf-8-sig")
        except UnicodeDecodeError:
            raise Refused(f"{name} is not UTF-8 text") from None
        return Opened(name, text, _stamp(data), not name.startswith(STANDARD))

    def stamp(self, name: str) -> str:
        """What is on disk now: empty where there is no such file."""
        try:
            return _stamp(_read(self.path(name), name))
        except Refused:
            return ""

    def save(self, name: str, text: str, stamp: str | None) -> Opened:
        """Put a text into a file, whole or not at all, if the file still is what `stamp` says: empty where it is to be
        new; None whatever it is.

        Raises:
            Refused: where it cannot be written, or is another by now.
        """
        path = self.path(name)
        if name.startswith(STANDARD):
            raise Refused("the standard library is read-only: save under a name of your own")
        data = text.encode("utf-8", "replace")
        if len(data) > MOST:
            raise Refused(f"{name} would have more than {MOST} bytes")
        now = self.stamp(name)
        if stamp is not None and now != stamp:
            why = ("there is a file of that name already" if not stamp else "it is gone from the disk" if not now
                   else "another program has changed it")
            raise Refused(f"{name} was not saved: {why}", changed=True)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            mode = path.stat().st_mode & 0o777 if path.exists() else None  # the rights that the file has
            with replacing(path) as temporary:
                temporary.write_bytes(data)
                if mode is not None:
                    temporary.chmod(mode)
        except OSError as error:
            raise Refused(f"{name} cannot be written: {(error.strerror or str(error)).lower()}") from None
        return Opened(name, text, _stamp(data), True)


def _read(path: Path, name: str) -> bytes:
    try:
        if not path.is_file():  # a folder, or a device that never ends
            raise Refused(f"there is no file {name}")
        with path.open("rb") as file:
            data = file.read(MOST + 1)
    except OSError as error:
        raise Refused(f"{name} cannot be read: {(error.strerror or str(error)).lower()}") from None
    if len(data) > MOST:
        raise Refused(f"{name} has more than {MOST} bytes")
    return data


def _stamp(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:24]


def _names(root: Path) -> Iterator[str]:
    told = 0
    for looked, (place, folders, names) in enumerate(os.walk(root), start=1):
        folders[:] = sorted(f for f in folders if f[0] != "." and f not in _PASSED_OVER)
        for name in sorted(names):
            if name.endswith(".sdf") and name[0] != ".":
                yield Path(place, name).relative_to(root).as_posix()
                told += 1
        if looked >= _FOLDERS or told >= _FILES:
            return
