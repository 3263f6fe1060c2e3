"""Files appear whole or not at all."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from fdif_dsl.compiler.support.files import claim_directory, replacing, write_text
from fdif_dsl.grammar.diagnostics import FdifError


def test_a_file_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    for text in ("one", "two"):
        write_text(path, text)
        assert path.read_text() == text
    assert list(tmp_path.iterdir()) == [path]


def test_a_failure_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    write_text(path, "old")
    with pytest.raises(KeyboardInterrupt), replacing(path) as temporary:
        temporary.write_text("half")
        raise KeyboardInterrupt
    assert path.read_text() == "old" and list(tmp_path.iterdir()) == [path]


def test_a_failure_names_the_file_that_was_asked_for(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No such file or directory") as error:
        write_text(tmp_path / "gone" / "a.txt", "new")
    assert error.value.filename == str(tmp_path / "gone" / "a.txt")
    with pytest.raises(OSError, match="No space left") as error, replacing(tmp_path / "a.txt"):
        raise OSError(errno.ENOSPC, "No space left on device")
    assert error.value.filename == str(tmp_path / "a.txt")


def test_a_temporary_file_keeps_its_endings(tmp_path: Path) -> None:
    with replacing(tmp_path / "a.nii.gz") as temporary:
        assert temporary.name.endswith("a.nii.gz") and temporary.parent == tmp_path
        temporary.touch()


def test_claiming(tmp_path: Path) -> None:
    claim_directory(tmp_path / "deep" / "new", "list.json")
    (tmp_path / "deep" / "new" / "list.json").touch()
    claim_directory(tmp_path / "deep" / "new", "list.json")
    with pytest.raises(FdifError, match="holds files of something else"):
        claim_directory(tmp_path / "deep", "list.json")
