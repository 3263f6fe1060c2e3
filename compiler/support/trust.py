"""Who else could change what lies at a path.

Compiled code runs with the user's rights, so it is read only from where nobody else can put it: each folder and link
on the way, and each file, belongs to the user or to root and is closed to others. `FDIF_TRUST` names folders whose
writers are trusted all the same. Where files have no owners and modes, as on Windows, nothing is asked.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

SETTING = "FDIF_TRUST"
_OTHERS = stat.S_IWGRP | stat.S_IWOTH
_LINKS = 40  # as many as Linux follows


@dataclass(frozen=True)
class Exposure:
    """That others could change `place`: how, and the command that ends it, where there is one."""

    place: Path
    why: str
    command: str = ""

    def hint(self, otherwise: str) -> str:
        """What its user can do; `otherwise` where no command helps."""
        first = f"run `{self.command}`" if self.command else otherwise
        return f"{first}; or, if you trust them, set {SETTING}={self.place}"


class Exposed(OSError):
    """A file that others could change."""

    def __init__(self, found: Exposure) -> None:
        super().__init__(found.why)
        self.found = found


def exposure(place: Path) -> Exposure | None:
    """Where others could change what `place` is, by a folder or link on the way to it or by itself, as far as it
    exists. None where they cannot, or are trusted."""
    if trusted(place):
        return None
    target = Path(os.path.realpath(place))
    program = Path(__file__).resolve().parents  # who can change these can change this program
    for entry, info in _way(place):
        if entry not in program and (found := _found(entry, info, above=entry != target)):
            return found
    return None


def read_guarded(path: Path) -> bytes:
    """What a file holds, in a folder of which `exposure` says nothing.

    Raises:
        Exposed: others could change the file itself.
    """
    with path.open("rb") as file:
        # Of what was opened and not of what has that name now.
        found = None if trusted(path.parent) else _found(path, os.fstat(file.fileno()), above=False)
        if found:
            raise Exposed(found)
        return file.read()


def trusted(place: Path) -> bool:
    """Whether the user has said so of a folder that holds `place`, or files here have no owners at all."""
    if os.name != "posix":
        return True
    named = [name for name in os.environ.get(SETTING, "").split(os.pathsep) if name]
    return bool(named) and any(Path(os.path.realpath(place)).is_relative_to(os.path.realpath(name)) for name in named)


def file_mode(folder: Path) -> int:
    """With what rights code is written into a folder, before the umask: only who is trusted may write there too."""
    return 0o666 if trusted(folder) else 0o644


def make_folders(place: Path) -> None:
    """Makes a folder for code and those above it that are missing, closed to others unless they are trusted."""
    mode = 0o777 if trusted(place) else 0o755
    for folder in (*reversed(place.parents), place):
        if not folder.is_dir():
            folder.mkdir(mode, exist_ok=True)


def shut(folder: Path) -> None:
    """Takes the right to write into a folder, and all that it holds, from others."""
    if os.name == "posix":
        for path in (folder, *folder.rglob("*")):
            path.chmod(stat.S_IMODE(path.stat().st_mode) & ~_OTHERS)


def _way(place: Path) -> Iterator[tuple[Path, os.stat_result]]:
    """Each folder and link that the system goes through to `place`, from the root, and the last one; as far as they
    exist."""
    at, todo, links = Path("/"), [*reversed(place.absolute().parts[1:])], 0
    yield at, at.stat()
    while todo and links < _LINKS:
        name = todo.pop()
        entry = at.parent if name == ".." else at / name
        try:
            info = entry.lstat()
        except OSError:
            return
        yield entry, info
        if stat.S_ISLNK(info.st_mode):
            links += 1
            to = entry.readlink()
            at = Path("/") if to.is_absolute() else at
            todo += [part for part in reversed(to.parts) if part != to.root]
        else:
            at = entry


def _found(entry: Path, info: os.stat_result, *, above: bool) -> Exposure | None:
    owner = info.st_uid
    if owner not in (0, os.geteuid()) and not _is_nobody(owner, above=above):
        return Exposure(entry, f"`{entry}` belongs to {_user(owner) or f'the user {owner}'}")
    # A link has no mode. In a folder that is sticky, as /tmp is, nobody exchanges what is another's.
    if stat.S_ISLNK(info.st_mode) or (stat.S_ISDIR(info.st_mode) and info.st_mode & stat.S_ISVTX):
        return None
    who = ("everybody" if info.st_mode & stat.S_IWOTH else
           f"the group {_group(info.st_gid)[0] or info.st_gid}"
           if info.st_mode & stat.S_IWGRP and not _is_private(info.st_gid, owner) else "")
    return Exposure(entry, f"{who} can write to `{entry}`", f"chmod go-w {entry}") if who else None


def _is_nobody(owner: int, *, above: bool) -> bool:
    """Whether a user is none who could do anything here. Root of a container sees volumes of users that it does not
    know; and where a container is a user's own, all owners outside of it look alike, those of the system's folders
    too."""
    return (os.geteuid() == 0 and not _user(owner)) or (above and owner == _outside())


def _is_private(group: int, owner: int) -> bool:
    """Whether nobody but root and the owner is in a group: many systems give each user one, of the same name, and let
    it write."""
    name, members = _group(group)
    if not name:
        return group == owner or os.geteuid() == 0
    return members <= {"root", _user(owner)} and (group == 0 or name == _user(owner))


@cache
def _user(number: int) -> str:
    """A user's name; none where this system does not know one."""
    import pwd

    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return ""


@cache
def _group(number: int) -> tuple[str, frozenset[str]]:
    """A group's name, and who is in it beside those whose main group it is."""
    import grp

    try:
        found = grp.getgrgid(number)
    except KeyError:
        return "", frozenset()
    return found.gr_name, frozenset(found.gr_mem)


@cache
def _outside() -> int:
    """The number that users of the outside have in a user namespace; -1 where everybody has their own."""
    try:
        if Path("/proc/self/uid_map").read_text("ascii").split() == ["0", "0", "4294967295"]:
            return -1
        return int(Path("/proc/sys/kernel/overflowuid").read_text("ascii"))
    except (OSError, ValueError):
        return -1
