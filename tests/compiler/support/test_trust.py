"""Who else could change a file: owners, modes, groups, links and folders above, as systems and containers have them."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from fdif_dsl.compiler.support import trust
from fdif_dsl.compiler.support.trust import Exposed, exposure, file_mode, make_folders, read_guarded, shut

pytestmark = pytest.mark.skipif(os.name != "posix", reason="there are no owners and modes")

ME, OTHER, STRANGER, LAB = 7001, 7002, 7003, 7100


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A folder with a file, two levels down."""
    folder = tmp_path / "above" / "code"
    folder.mkdir(parents=True)
    (tmp_path / "above").chmod(0o755)
    folder.chmod(0o755)
    (folder / "kernel.o").write_bytes(b"code")
    (folder / "kernel.o").chmod(0o644)
    return folder


@pytest.fixture(autouse=True)
def nobody_trusted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(trust.SETTING, raising=False)


@pytest.fixture
def system(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """A system that knows some users and groups; what each owner is can only be made up, as tests are not all root."""
    def become(user: int, *, group_of: dict[int, tuple[str, frozenset[str]]] | None = None) -> None:
        names = {0: "root", ME: "me", OTHER: "other"}
        groups = {0: ("root", frozenset[str]()), ME: ("me", frozenset[str]()), LAB: ("lab", frozenset({"me", "other"}))}
        monkeypatch.setattr(os, "geteuid", lambda: user)
        monkeypatch.setattr(trust, "_user", lambda number: names.get(number, ""))
        monkeypatch.setattr(trust, "_group", lambda number: (groups | (group_of or {})).get(number, ("", frozenset())))
        monkeypatch.setattr(trust, "_outside", lambda: -1)

    return become


def info(owner: int, mode: int, group: int = ME) -> os.stat_result:
    return os.stat_result((mode, 0, 0, 1, owner, group, 0, 0, 0, 0))


FOLDER, FILE, LINK = stat.S_IFDIR, stat.S_IFREG, stat.S_IFLNK

SEEN = {  # who looks, at what, and what is said; "" where nobody else could change it
    "mine": (ME, info(ME, FILE | 0o644), ""),
    "of root, as installed": (ME, info(0, FOLDER | 0o755, 0), ""),
    "of root, with a group of its own": (ME, info(0, FILE | 0o664, 0), ""),
    "of another": (ME, info(OTHER, FILE | 0o644), "belongs to other"),
    "of a user without a name": (ME, info(STRANGER, FILE | 0o644), "belongs to the user 7003"),
    "umask 002, in a group of one's own": (ME, info(ME, FOLDER | 0o775), ""),
    "umask 002, in the group of a laboratory": (ME, info(ME, FOLDER | 0o775, LAB), "the group lab can write"),
    "a shared folder that gives its group on": (ME, info(ME, FOLDER | 0o2770, LAB), "the group lab can write"),
    "open to all": (ME, info(ME, FILE | 0o666), "everybody can write"),
    "open to all, of root": (ME, info(0, FOLDER | 0o777, 0), "everybody can write"),
    "/tmp": (ME, info(0, FOLDER | 0o1777, 0), ""),
    "a file with the bit that /tmp has": (ME, info(ME, FILE | 0o1777), "everybody can write"),
    "a link of one's own": (ME, info(ME, LINK | 0o777), ""),
    "a link of another": (ME, info(OTHER, LINK | 0o777), "belongs to other"),
    "root looks at a user's": (0, info(OTHER, FILE | 0o644), "belongs to other"),
    "root of a container looks at a volume": (0, info(STRANGER, FOLDER | 0o775, STRANGER), ""),
    "a container with a number for a user": (STRANGER, info(STRANGER, FOLDER | 0o775, STRANGER), ""),
    "a container with a group without a name": (STRANGER, info(STRANGER, FOLDER | 0o775, 7999), "the group 7999"),
    "a container whose users share the group of root": (STRANGER, info(STRANGER, FOLDER | 0o775, 0), ""),
}


@pytest.mark.parametrize("what", SEEN)
def test_owner_and_mode(what: str, system: Callable[..., None]) -> None:
    user, seen, said = SEEN[what]
    system(user)
    found = trust._found(Path("/x"), seen, above=False)
    assert (found.why if found else "").count(said) and bool(found) == bool(said)


def test_a_group_of_ones_own_that_others_were_put_into(system: Callable[..., None]) -> None:
    system(ME, group_of={ME: ("me", frozenset({"other"}))})
    found = trust._found(Path("/x"), info(ME, FOLDER | 0o775), above=False)
    assert found and found.why == "the group me can write to `/x`"


def test_in_a_users_own_container_folders_of_the_outside_are_the_systems(
        system: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> None:
    system(ME)
    monkeypatch.setattr(trust, "_outside", lambda: 65534)
    assert trust._found(Path("/x"), info(65534, FOLDER | 0o755), above=True) is None
    assert trust._found(Path("/x"), info(65534, FOLDER | 0o755), above=False)


def test_what_a_test_or_a_user_makes_is_fine(place: Path) -> None:
    assert exposure(place) is None
    assert exposure(place / "not" / "yet") is None
    assert read_guarded(place / "kernel.o") == b"code"


@pytest.mark.parametrize("folder", ["above", "above/code"])
def test_a_folder_on_the_way_that_all_may_write(folder: str, place: Path, tmp_path: Path) -> None:
    (tmp_path / folder).chmod(0o777)
    found = exposure(place)
    assert found and found.place == tmp_path / folder and found.command == f"chmod go-w {tmp_path / folder}"
    assert found.hint("else") == f"run `{found.command}`; or, if you trust them, set FDIF_TRUST={tmp_path / folder}"
    (tmp_path / folder).chmod(0o1777)  # as /tmp: one's own things in it stay one's own
    assert exposure(place) is None


def test_a_file_that_all_may_write(place: Path) -> None:
    (place / "kernel.o").chmod(0o646)
    assert exposure(place) is None
    with pytest.raises(Exposed, match="everybody can write to"):
        read_guarded(place / "kernel.o")


def test_links_are_followed_to_where_others_could_write(place: Path, tmp_path: Path) -> None:
    (tmp_path / "near").symlink_to("above")
    (tmp_path / "link").symlink_to(tmp_path / "near" / "code")
    assert exposure(tmp_path / "link") is None
    (tmp_path / "above").chmod(0o777)
    for way in (tmp_path / "link", tmp_path / "near" / ".." / "link", tmp_path / "near" / "code"):
        found = exposure(way)
        assert found and found.place == tmp_path / "above"


def test_a_link_that_lies_where_others_could_change_it(place: Path, tmp_path: Path) -> None:
    (tmp_path / "open").mkdir()
    (tmp_path / "open" / "link").symlink_to(place)
    (tmp_path / "open").chmod(0o777)
    found = exposure(tmp_path / "open" / "link")
    assert found and found.place == tmp_path / "open"


def test_links_in_a_circle_end(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    assert exposure(tmp_path / "a") is None


def test_folders_that_hold_this_program_say_nothing(place: Path, tmp_path: Path,
                                                    monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever can write there can write the program."""
    (tmp_path / "above").chmod(0o777)
    assert exposure(place)
    monkeypatch.setattr(trust, "__file__", str(tmp_path / "above" / "venv" / "trust.py"))
    assert exposure(place) is None
    place.chmod(0o777)
    assert exposure(place)


def test_whom_the_user_trusts(place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "above").chmod(0o777)
    (place / "kernel.o").chmod(0o666)
    monkeypatch.setenv(trust.SETTING, os.pathsep.join(["", "/nowhere", str(tmp_path / "abov")]))
    assert exposure(place) and file_mode(place) == 0o644
    (tmp_path / "link").symlink_to("above")
    monkeypatch.setenv(trust.SETTING, f"/nowhere{os.pathsep}{tmp_path / 'link'}")
    assert exposure(place) is None and file_mode(place) == 0o666
    assert read_guarded(place / "kernel.o") == b"code"


def test_where_modes_mean_nothing(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place.chmod(0o777)
    monkeypatch.setattr(trust.os, "name", "nt")
    assert trust.trusted(place)


def test_folders_for_code_are_closed_whatever_the_umask(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old = os.umask(0o002)
    try:
        make_folders(tmp_path / "a" / "b")
        monkeypatch.setenv(trust.SETTING, str(tmp_path))
        make_folders(tmp_path / "c")
    finally:
        os.umask(old)
    assert [(tmp_path / name).stat().st_mode & 0o777 for name in ("a", "a/b", "c")] == [0o755, 0o755, 0o775]


def test_shut(place: Path) -> None:
    place.chmod(0o777)
    (place / "kernel.o").chmod(0o664)
    shut(place)
    assert [path.stat().st_mode & 0o777 for path in (place, place / "kernel.o")] == [0o755, 0o644]
