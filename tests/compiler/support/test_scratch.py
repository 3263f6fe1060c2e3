"""Scratch folders: gone with the process that made them, whichever way that ends."""

from __future__ import annotations

import errno
import subprocess
import sys
from pathlib import Path

import pytest

from fdif_dsl.compiler.support import scratch
from fdif_dsl.compiler.support.scratch import put, scratch_folder


def test_a_folder_is_put_in_its_place(tmp_path: Path) -> None:
    place = tmp_path / "deep" / "place"
    for text in ("one", "two"):
        with scratch_folder(place) as folder:
            assert folder.parent == place.parent
            (folder / "file").write_text(text)
            put(folder, place)
        assert (place / "file").read_text() == text and list(place.parent.iterdir()) == [place]


def test_a_failure_leaves_what_was_there(tmp_path: Path) -> None:
    place = tmp_path / "place"
    place.mkdir()
    with pytest.raises(KeyboardInterrupt), scratch_folder(place) as folder:
        (folder / "file").touch()
        raise KeyboardInterrupt
    assert [*tmp_path.rglob("*")] == [place]


def test_two_have_one_each_and_the_last_wins(tmp_path: Path) -> None:
    place = tmp_path / "place"
    with scratch_folder(place) as one, scratch_folder(place) as two, scratch_folder(tmp_path / "other") as three:
        assert len({one, two, three}) == 3 and one.is_dir()
        (one / "one").touch()
        (two / "two").touch()
        put(one, place)
        put(two, place)
    assert [*tmp_path.rglob("*")] == [place, place / "two"]


def test_what_a_killed_process_began_is_removed_and_no_other(tmp_path: Path) -> None:
    place = tmp_path / "place"
    code = ("import sys, time, pathlib, fdif_dsl.compiler.support.scratch as s\n"
            "with s.scratch_folder(pathlib.Path(sys.argv[1])) as folder:\n"
            "    (folder / 'half').touch()\n"
            "    print(folder, flush=True)\n"
            "    time.sleep(600)")
    process = subprocess.Popen([sys.executable, "-P", "-c", code, str(place)], text=True, stdout=subprocess.PIPE)
    assert process.stdout is not None
    begun = Path(process.stdout.readline().strip())
    with scratch_folder(place):
        assert (begun / "half").exists()  # that one is alive
    process.kill()
    process.communicate()
    with scratch_folder(tmp_path / "another place"):
        assert begun.exists()
    with scratch_folder(place):
        assert not begun.exists()
    assert not list(tmp_path.iterdir())


def test_without_locks_nothing_is_taken_for_abandoned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_locks(path: Path) -> None:
        path.touch()
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(scratch, "attempt", no_locks)
    with scratch_folder(tmp_path / "place") as one, scratch_folder(tmp_path / "place") as two:
        assert one.is_dir() and two.is_dir()
    assert not list(tmp_path.iterdir())
