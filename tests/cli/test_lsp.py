"""`fdifc lsp` where something is missing; what it answers is tested in tests/runtime/editor."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

from fdif_dsl.cli import lsp


def test_without_pygls(fdifc: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lsp, "find_spec", lambda name: None)
    result = fdifc("lsp")
    assert result.exit_code == 1
    assert result.stderr == """\
error[E0850]: the language server needs pygls
  --> fdifc lsp
  hint: pip install 'fdif-dsl[lsp]'
"""


def test_an_editor_that_goes_away_ends_it() -> None:
    pytest.importorskip("pygls")
    code = "from fdif_dsl.cli import main; main()"
    done = subprocess.run([sys.executable, "-c", code, "lsp"], stdin=subprocess.DEVNULL, capture_output=True,
                          text=True, timeout=120, check=False)
    assert (done.returncode, done.stdout) == (0, "") and "Traceback" not in done.stderr
