"""A small budget of what `make fuzz` does for hours, the same cases each time; and that it notices what is wrong."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import checks
import damaged
import fuzz
import numpy as np
import programs
import pytest

from fdif_dsl.grammar.diagnostics import FdifError


def test_nothing_breaks(tmp_path: Path) -> None:
    report = fuzz.fuzz(7, 90, None, tmp_path)
    assert report.failures == []
    # It would find nothing if all of its programs were refused, or none.
    assert report.done["valid: evaluated"] > report.done["valid"] / 2 > 0
    assert report.done["derived: right"] > 0 and report.done["derived: refused"] > 0
    assert report.done["changed: evaluated"] > 0 and report.done["changed: refused"] > 0


def test_damaged_files_of_each_kind(tmp_path: Path) -> None:
    assert fuzz.SHARES.keys() == {*fuzz.PROGRAMS, *damaged.KINDS}
    files = damaged.Files(tmp_path)
    for kind in damaged.KINDS:
        assert {fuzz.run(kind, number, files) for number in range(8)} == {"read or refused"}


def test_a_compiled_program_agrees(tmp_path: Path) -> None:
    number = next(n for n in range(100) if checks.read(fuzz.text_of("valid", n)))
    assert fuzz.run("valid", number, damaged.Files(tmp_path), share=1) == "compiled"


def test_every_function_and_draw_is_written() -> None:
    text = " ".join(programs.valid(random.Random(n)) for n in range(600))
    names = {*programs.BUILTINS, *programs.PRIORS} - {"unit_vec2", "unit_vec3", "len", "choice"}
    assert {name for name in names if f"{name}(" not in text} == set()


def test_every_rule_of_the_grammar_is_derived() -> None:
    text = " ".join(programs.derived(random.Random(n)) for n in range(120))
    _, fixed = programs._grammar()
    assert {word for word in fixed.values() if word not in text} == set()


BALL = "shape ball {\n  r ~ uniform(1, 2)\n  distance = length(p) - r\n}\n"


def test_a_back_end_that_differs_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    formulas = checks.formulas_of(BALL)
    checks.agree(formulas, 1, compiled=False)
    right = checks.TORCH.evaluate
    monkeypatch.setattr(checks.TORCH, "evaluate", lambda *a: right(*a) * (1 + 1e-5))
    with pytest.raises(checks.Wrong, match="shape on torch"):
        checks.agree(formulas, 1, compiled=False)
    monkeypatch.setattr(checks.TORCH, "evaluate", lambda *a: right(*a) * np.nan)
    with pytest.raises(checks.Wrong, match="shape on torch"):
        checks.agree(formulas, 1, compiled=False)


@pytest.mark.parametrize("fault", [ZeroDivisionError("oh"), MemoryError(), RecursionError(), FdifError()])
def test_what_is_no_error_of_ours_is_a_failure_with_a_way_to_see_it_again(
        fault: Exception, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(text: str) -> Any:
        raise fault

    monkeypatch.setattr(fuzz, "SHARES", {"valid": 1})
    monkeypatch.setattr(checks, "formulas_of", fail)
    report = fuzz.fuzz(7, 2, None, tmp_path)
    assert [failure.splitlines()[-1].strip() for failure in report.failures] == [
        f"again: python tests/fuzz/fuzz.py --only valid:{7 * 10**9 + n} --share {fuzz.COMPILED:g}" for n in range(2)]


def test_what_takes_too_long_is_a_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def hang(text: str) -> Any:
        while True:
            pass

    monkeypatch.setattr(fuzz, "SHARES", {"derived": 1})
    monkeypatch.setattr(fuzz, "SECONDS", 0.05)
    monkeypatch.setattr(checks, "formulas_of", hang)
    (failure,) = fuzz.fuzz(7, 1, None, tmp_path).failures
    assert failure.startswith("Hang: more than 0.05 s of processor time")


def test_an_archive_whose_table_is_damaged_is_damaged_weights(tmp_path: Path) -> None:
    """Found by the fuzzer: zipfile's own error came out."""
    files = damaged.Files(tmp_path)
    data = bytearray(files.right["weights.pt"])
    at = data.rindex(b"PK\x01\x02")
    for byte in (at, at + 46):  # the mark of an entry, and a letter of its name that is no UTF-8
        broken = bytearray(data)
        broken[byte] ^= 0xB0
        (tmp_path / "weights.pt").write_bytes(broken)
        with pytest.raises(FdifError, match="E0864"):
            damaged.READERS["weights.pt"](tmp_path / "weights.pt")
