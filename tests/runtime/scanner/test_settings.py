"""The section [scanner] of a recipe: its keys, and the message for each value that cannot be."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
import torch

import fdif_dsl as fd
from fdif_dsl.runtime.recipe import SCANNER_STEPS
from fdif_dsl.runtime.recipe.rules import FORM
from fdif_dsl.runtime.training.resume import check_same
from fdif_dsl.runtime.training.run_folder import WEIGHTS


def message(call: Any, *args: Any, **kwargs: Any) -> str:
    with pytest.raises(fd.FdifError) as caught:
        call(*args, **kwargs)
    return str(caught.value)


def test_every_key_has_a_rule_and_a_field_and_steps_come_in_their_order() -> None:
    keys = [field.name for field in fields(fd.Scanner)]
    assert keys == list(FORM.rules["scanner"]) == list(fd.Scanner().to_dict())
    assert [key for key in keys if key in SCANNER_STEPS] == list(SCANNER_STEPS)
    assert all(key.partition("_")[0] in SCANNER_STEPS for key in keys)


SECTION = """\
why: its keys are `background`, `background_level`, `background_texture`, `background_size`, `paint`, `paint_level`, \
`paint_opacity`, `invert`, `blur`, `blur_sigma`, `slices`, `slices_thickness`, `slices_profile`, `bias`, \
`bias_strength`, `gaussian`, `gaussian_sigma`, `rician`, `rician_sigma`, `gamma`, `gamma_power`"""
MISTAKES = {
    "blur = 1.5": ("1.5 is out of range", "hint: write a number from 0 to 1"),
    "blur = [0, 1]": ("[0, 1] where a number is expected", "hint: write a number from 0 to 1"),
    "blur_sigma = [2, 0.5]": ("[2.0, 0.5] is no range", "hint: write the smaller number first: [0.5, 2.0]"),
    "blur_sigma = [1, 2, 3]": ("a list of 3 where a number or [least, most] is expected",
                               "hint: write one number, or two like [0.3, 1.2]"),
    "blur_sigma = [0, 17]": ("17 is out of range", "hint: write a number from 0 to 16"),
    'blur_sigma = ["a", 1]': ("`a` where a number is expected", "hint: write a number from 0 to 16"),
    "slices_thickness = [2, 3.5]": ("3.5 where a whole number is expected", "hint: write a whole number from 1 to 64"),
    "slices_thickness = 0": ("0 is out of range", "hint: write a whole number from 1 to 64"),
    'slices_profile = "gausian"': ("`gausian` is not supported", "why: there are `box`, `gaussian`, `either`\n"
                                   "  hint: did you mean `gaussian`?"),
    "background_level = 129": ("129 is out of range", "hint: write a number from 0 to 128"),
    "background_texture = -1": ("-1 is out of range", "hint: write a number from 0 to 128"),
    "background_size = 1": ("1 is out of range", "hint: write a number from 2 to 2048"),
    "paint_level = [0, 200]": ("200 is out of range", "hint: write a number from 0 to 128"),
    "paint_opacity = 2": ("2 is out of range", "hint: write a number from 0 to 1"),
    "bias_strength = 4": ("4 is out of range", "hint: write a number from 0 to 3"),
    "gaussian_sigma = nan": ("nan is out of range", "hint: write a number from 0 to 128"),
    "rician_sigma = inf": ("inf is out of range", "hint: write a number from 0 to 128"),
    "gamma_power = 0": ("0 is out of range", "hint: write a number from 0.1 to 10"),
    "invert = true": ("a truth value where a number is expected", "hint: write a number from 0 to 1"),
    "blurr = 1": ("[scanner] has no key `blurr`", f"{SECTION}\n  hint: did you mean `blur`?"),
    "flip = 1": ("[scanner] has no key `flip`", f"{SECTION}\n  hint: `flip` belongs to [augment]"),
}


@pytest.mark.parametrize("line", MISTAKES)
def test_a_value_that_cannot_be_is_told_at_its_line(line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    title, rest = MISTAKES[line]
    monkeypatch.chdir(tmp_path)
    Path("my.toml").write_text(f"[scanner]\n{line}\n")
    key = line.partition(" ")[0]
    assert message(fd.Recipe.load, "my.toml") == f"""\
error[E0504]: {title}
  --> my.toml:2:1
  |
2 | {line}
  | {"^" * len(key)}
  {rest}"""


def test_in_python_and_on_the_command_line_it_is_told_too() -> None:
    assert message(fd.Scanner, blur=2, gamma_power=[3, 2]) == """\
error[E0504]: 2 is out of range
  --> recipe: scanner.blur
  hint: write a number from 0 to 1

error[E0504]: [3.0, 2.0] is no range
  --> recipe: scanner.gamma_power
  hint: write the smaller number first: [2.0, 3.0]"""
    assert message(fd.Recipe.load, "scanner", ["scanner.blur_sigma=[1, 20]"]) == """\
error[E0504]: 20 is out of range
  --> command line:1:9
  |
1 | scanner.blur_sigma=[1, 20]
  |         ^^^^^^^^^^
  hint: write a number from 0 to 16"""
    assert fd.Recipe.load("paper", ["scanner.blur=1", "scanner.blur_sigma=2"]).scanner == fd.Scanner(
        blur=1, blur_sigma=(2, 2))


def test_a_run_goes_on_with_the_scanner_that_it_had(tmp_path: Path) -> None:
    def resumed(before: fd.Recipe, now: fd.Recipe) -> None:
        torch.save({"recipe": before.to_dict(), "processes": 1, "library": "x"}, tmp_path / WEIGHTS)
        check_same(tmp_path, {"processes": 1, "library": "x"}, now)

    plain, blurred = fd.Recipe(), fd.Recipe(scanner=fd.Scanner(blur=0.5))
    resumed(plain, plain)
    resumed(blurred, blurred)
    for before, now, was, is_ in ((plain, blurred, 0.0, 0.5), (blurred, plain, 0.5, 0.0)):
        assert message(resumed, before, now) == f"""\
error[E0835]: the run in {tmp_path} was made differently, so it cannot go on
  why: scanner.blur was {was} and is {is_}
  hint: its own recipe is {tmp_path / 'recipe.toml'}; another run goes into another folder"""
