"""What may be opened and saved: `.sdf` files of one folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from fdif_dsl.runtime.play.folder import STANDARD, Folder, Refused


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    (tmp_path / "secret.sdf").write_text("fn secret() = 1\n")
    root = tmp_path / "root"
    (root / "deep").mkdir(parents=True)
    (root / "a.sdf").write_text("fn a() = 1\n")
    (root / "deep" / "b.sdf").write_text("fn b() = 1\n")
    (root / "notes.txt").write_text("no formulas")
    (root / ".hidden.sdf").write_text("fn h() = 1\n")
    (root / "link.sdf").symlink_to(tmp_path / "secret.sdf")
    (root / "out").symlink_to(tmp_path)
    (root / "loop.sdf").symlink_to(root / "loop.sdf")
    return Folder(root)


def test_files_of_the_folder_and_below(folder: Folder) -> None:
    assert {"a.sdf", "deep/b.sdf"} <= set(folder.list()) and "notes.txt" not in folder.list()
    assert folder.open("deep/b.sdf").text == "fn b() = 1\n"
    assert folder.name(folder.root / "deep" / "b.sdf") == "deep/b.sdf"


@pytest.mark.parametrize("name", [
    "../secret.sdf", "deep/../../secret.sdf", "link.sdf", "out/secret.sdf", "/etc/passwd", "notes.txt", ".hidden.sdf",
    "deep", "", "a.sdf\0", "..\\secret.sdf", "no.sdf", "loop.sdf", "x" * 500 + ".sdf", STANDARD, STANDARD + "../a.sdf",
    STANDARD + "no.sdf", "~/a.sdf", "./../secret.sdf", "deep//../../secret.sdf"])
def test_all_else_is_refused(folder: Folder, name: str) -> None:
    with pytest.raises(Refused):
        folder.open(name)
    with pytest.raises(Refused):
        folder.save(name if name != "no.sdf" else "../no.sdf", "text", None)
    assert (folder.root.parent / "secret.sdf").read_text() == "fn secret() = 1\n"


def test_the_standard_library_is_read_only(folder: Folder) -> None:
    opened = folder.open(STANDARD + "std.sdf")
    assert "fn union" in opened.text and not opened.own
    with pytest.raises(Refused, match="read-only"):
        folder.save(STANDARD + "std.sdf", "", opened.stamp)


def test_a_file_that_changed_beneath_is_not_overwritten(folder: Folder) -> None:
    stamp = folder.open("a.sdf").stamp
    (folder.root / "a.sdf").write_text("fn other() = 2\n")
    with pytest.raises(Refused, match="another program has changed it") as refused:
        folder.save("a.sdf", "fn mine() = 3\n", stamp)
    assert refused.value.changed and (folder.root / "a.sdf").read_text() == "fn other() = 2\n"
    assert folder.save("a.sdf", "fn mine() = 3\n", None).stamp == folder.stamp("a.sdf")
    with pytest.raises(Refused, match="already"):
        folder.save("a.sdf", "new", "")
    (folder.root / "a.sdf").unlink()
    with pytest.raises(Refused, match="gone"):
        folder.save("a.sdf", "new", stamp)


def test_saving_is_whole_or_not_at_all(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    path = folder.root / "a.sdf"
    path.chmod(0o640)
    folder.save("a.sdf", "fn new() = 1\r\n", folder.stamp("a.sdf"))
    assert path.read_bytes() == b"fn new() = 1\r\n" and path.stat().st_mode & 0o777 == 0o640

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(Refused, match="no space left"):
        folder.save("a.sdf", "half", folder.stamp("a.sdf"))
    assert path.read_bytes() == b"fn new() = 1\r\n" and not [*folder.root.glob(".*-a.sdf")]


def test_what_is_no_text_is_said_so(folder: Folder) -> None:
    (folder.root / "bytes.sdf").write_bytes(b"\xff\xfe\x00")
    (folder.root / "large.sdf").write_bytes(b"#" * (2**20 + 1))
    with pytest.raises(Refused, match="not UTF-8"):
        folder.open("bytes.sdf")
    with pytest.raises(Refused, match="more than"):
        folder.open("large.sdf")
