"""What all commands share: help, usage errors, and errors of any kind as text instead of a traceback."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

from fdif_dsl.cli import COMMANDS
from fdif_dsl.compiler.frontend import diagnose


def test_help_lists_every_command_and_imports_none(tmp_path: Path) -> None:
    code = ("import sys; from fdif_dsl.cli import cli; cli(['--help'], standalone_mode=False); "
            "print([m for m in ('numpy', 'torch', 'numba', 'lark', 'matplotlib') if m in sys.modules])")
    said = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    assert all(f"\n  {name}" in said for name in COMMANDS)
    assert said.endswith("[]\n")


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help(fdifc: Any, name: str) -> None:
    result = fdifc(name, "--help")
    assert result.exit_code == 0 and result.output.startswith(f"Usage: fdifc {name} ")


def test_version(fdifc: Any) -> None:
    assert fdifc("--version").output == f"fdifc, version {version('fdif-dsl')}\n"


def test_unknown_command(fdifc: Any) -> None:
    result = fdifc("genrate")
    assert result.exit_code == 2
    assert result.stderr == """\
Usage: fdifc [OPTIONS] COMMAND [ARGS]...
Try 'fdifc --help' for help.

Error: no such command `genrate`. did you mean `generate`?
"""


def test_unknown_option(fdifc: Any) -> None:
    result = fdifc("generate", "--recpie", "paper")
    assert result.exit_code == 2
    assert result.stderr == """\
Usage: fdifc generate [OPTIONS]
Try 'fdifc generate --help' for help.

Error: No such option '--recpie'. (Did you mean one of: '--recipe', '--resume'?)
"""


def _raise(error: BaseException) -> Callable[..., Any]:
    def fail(*_: Any) -> Any:
        raise error

    return fail


@pytest.mark.parametrize(("error", "said"), [
    (OSError(errno.ENOSPC, "No space left on device", "out/case_00000.nii.gz"),
     "error[E0801]: out/case_00000.nii.gz: no space left on device\n"
     "  hint: free some space, or write to another place\n"),
    (OSError(errno.EROFS, "Read-only file system", "out"),
     "error[E0801]: out: read-only file system\n"
     "  hint: the file system is read-only; write to another place\n"),
    (PermissionError(errno.EACCES, "Permission denied", "secret.sdf"),
     "error[E0801]: secret.sdf: permission denied\n"
     "  hint: you lack the permission; write to another place or change the permissions\n"),
    (FileNotFoundError(errno.ENOENT, "No such file or directory", "gone.sdf"),
     "error[E0801]: gone.sdf: no such file or directory\n"),
    (MemoryError(),
     "error[E0802]: this machine has not enough memory for that\n"
     "  hint: a smaller grid or a smaller batch needs less\n"),
])
def test_what_the_system_refuses_is_one_diagnostic(
        fdifc: Any, monkeypatch: pytest.MonkeyPatch, error: BaseException, said: str) -> None:
    monkeypatch.setattr(diagnose, "check_files", _raise(error))
    result = fdifc("check", "a.sdf")
    assert (result.exit_code, result.stdout, result.stderr) == (1, "", said)


def test_interrupt(fdifc: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(diagnose, "check_files", _raise(KeyboardInterrupt()))
    result = fdifc("check", "a.sdf")
    assert (result.exit_code, result.stderr) == (130, "interrupted\n")


def test_a_fault_of_the_program_keeps_its_traceback(fdifc: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(diagnose, "check_files", _raise(ZeroDivisionError()))
    with pytest.raises(ZeroDivisionError):
        fdifc("check", "a.sdf")


def test_a_reader_that_goes_away(tmp_path: Path) -> None:
    command = f"{sys.executable} -c 'from fdif_dsl.cli import main; main()' list recipes | true"
    done = subprocess.run(["bash", "-c", command], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.stderr == ""


@pytest.mark.parametrize("arguments", [
    ["pretrain", "demo", "-o", "BAD"], ["pretrain", "BAD.toml"], ["pretrain", "demo", "--library", "BAD"],
    ["finetune", "small", "--data", "BAD"], ["finetune", "small", "data.path=BAD", "-o", "run"],
    ["finetune", "small", "--weights", "BAD"], ["generate", "--count", "2", "-o", "BAD"],
    ["generate", "--count", "2", "-o", "run", "--recipe", "BAD.toml"], ["export", "BAD", "--to", "monai"],
    ["export", "run", "--to", "monai", "-o=BAD"],
])
def test_a_path_that_is_not_utf_8_is_refused_before_anything_is_written(arguments: list[str], tmp_path: Path) -> None:
    """In a process of its own, where the bytes come from the shell."""
    given = [os.fsencode(part).replace(b"BAD", b"gr\xf6\xdfe") for part in arguments]
    shown = next(part for part in arguments if "BAD" in part).replace("BAD", "gr\\xf6\\xdfe")
    done = subprocess.run([sys.executable, "-P", "-c", "from fdif_dsl.cli import main; main()", *given], cwd=tmp_path,
                          capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (1, "", f"""\
error[E0805]: `{shown}` is not UTF-8
  --> command line
  why: recipes, lists and cards name paths, and are UTF-8 text
  hint: rename it, or give it a second name with `ln -s`
""")
    assert not list(tmp_path.iterdir())
