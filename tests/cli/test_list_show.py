"""`list` and `show`."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from PIL import Image


def test_list_shapes(fdifc: Any, shapes: Path) -> None:
    result = fdifc("list", "shapes", "--library", shapes)
    assert result.exit_code == 0
    assert [line.split() for line in result.output.splitlines()] == [
        ["shapes"], ["id", "name", "parameters", "about"],
        ["1", "ball", "radius", "A", "ball."], ["2", "cube", "half", "A", "cube."]]


def test_list_tells_the_files_of_a_library_apart(fdifc: Any, shapes: Path, tmp_path: Path) -> None:
    more = tmp_path / "more.sdf"
    more.write_text("## Half a space.\nshape half { distance = p.z }")
    result = fdifc("list", "shapes", "--library", shapes, "--library", more)
    assert [line.split() for line in result.output.splitlines()] == [
        ["shapes"], ["id", "name", "module", "parameters", "about"], ["1", "ball", "shapes", "radius", "A", "ball."],
        ["2", "cube", "shapes", "half", "A", "cube."], ["3", "half", "more", "Half", "a", "space."]]
    listed = fdifc("list", "mappers", "--library", "standard", "--library", "textures").output.splitlines()
    assert listed[1].split()[:3] == ["name", "module", "parameters"]
    whose = dict(line.split()[:2] for line in listed[2:])
    assert (whose["flat"], whose["modular_5"]) == ("textures", "mappers")


def test_list_all(fdifc: Any, shapes: Path) -> None:
    output = fdifc("list", "--library", shapes).output
    for word in ("ball", "waves", "glow", "paper", "demo", "swin_unetr"):
        assert word in output


def test_list_something_else(fdifc: Any) -> None:
    result = fdifc("list", "shape")
    assert result.exit_code == 2 and "'shapes', 'displacements'" in result.stderr


def test_show_prints_parameters_and_priors(fdifc: Any, shapes: Path) -> None:
    result = fdifc("show", "ball", "--library", shapes)
    assert result.exit_code == 0
    assert [line.rstrip() for line in result.output.splitlines()] == [
        f"ball  shape, declared at {shapes}:2:7", "A ball.", "",
        "parameter  type   value                            about",
        "radius     float  ~ uniform(0.15, 0.3) * grid.min  Radius in voxels.", "", "-o ball.png draws it"]


def test_show_an_unknown_class(fdifc: Any, shapes: Path) -> None:
    result = fdifc("show", "bal", "--library", shapes)
    assert (result.exit_code, result.stderr) == (
        1, "error[E0842]: the library has no class `bal`\n  hint: did you mean `ball`?\n")


@pytest.mark.parametrize("name", ["cube", "waves", "glow"])
def test_show_draws_every_kind(fdifc: Any, shapes: Path, tmp_path: Path, name: str) -> None:
    picture = tmp_path / "picture.png"
    result = fdifc("show", name, "-o", picture, "--library", shapes)
    assert result.exit_code == 0, result.output
    assert result.output.endswith(f"\npicture in {picture}\n")
    with Image.open(picture) as image:
        assert image.width > 1000 and len(image.convert("RGB").getcolors(2**24) or []) > 500


TEXTURES = """
## Of random height.
displacement waves {
  ## In voxels.
  height ~ uniform(1, 2)
  offset = height * sin(p.x)
}
displacement plain { offset = 1.0 }
mapper striped(n: int) {
  level ~ uniform(50, 90)
  intensity = where(d > 0, 0, level + 30 * sin(n * p.x))
}
mapper striped_2 = striped(2)
shape ball { distance = length(p) - 5 }
"""


def test_textures_are_listed_and_shown_with_their_quantities(fdifc: Any, tmp_path: Path) -> None:
    path = tmp_path / "own.sdf"
    path.write_text(TEXTURES)
    said = [line.rstrip() for line in fdifc("list", "displacements", "--library", path).output.splitlines()]
    assert said == ["displacements", "name   parameters  about", "waves  height      Of random height.", "plain"]
    said = fdifc("list", "mappers", "--library", path).output.split()
    assert said == ["mappers", "name", "parameters", "about", "striped_2", "n=2,", "level"]
    shown = fdifc("show", "waves", "--library", path).output
    assert re.search(r"^height +float +~ uniform\(1, 2\) +In voxels\.$", shown, re.MULTILINE)
    pictures = {}
    for name, seed in (("waves", 0), ("waves", 1), ("striped_2", 0), ("striped_2", 1)):
        out = tmp_path / f"{name}_{seed}.png"
        assert fdifc("show", name, "--library", path, "--seed", seed, "-o", out).exit_code == 0
        pictures[name, seed] = out.read_bytes()
    assert len({*pictures.values()}) == 4


def test_show_all(fdifc: Any, shapes: Path, tmp_path: Path) -> None:
    folder = tmp_path / "pictures"
    assert fdifc("show", "--all", "-o", folder, "--library", shapes).exit_code == 0
    assert sorted(p.name for p in folder.iterdir()) == [
        "ball.png", "cube.png", "gallery.png", "glow.png", "waves.png"]


@pytest.mark.parametrize(("arguments", "said"), [
    ((), "Error: give the NAME of a class, or --all\n"),
    (("--all",), "Error: --all needs a folder for the pictures: -o DIR\n"),
    (("ball", "-o", "ball.jpg"), "Error: pictures are PNG files, and ball.jpg does not end in .png\n"),
])
def test_show_usage(fdifc: Any, arguments: tuple[str, ...], said: str) -> None:
    result = fdifc("show", *arguments)
    assert result.exit_code == 2 and result.stderr.endswith(said)


def test_list_networks(fdifc: Any) -> None:
    pytest.importorskip("monai")
    result = fdifc("list", "networks")
    assert result.exit_code == 0, result.output
    rows = {line.split()[0]: line for line in result.output.splitlines() if line}
    assert {"unet", "swin_unetr", "unetr", "vnet", "resenc_l", "primus_m"} <= rows.keys()
    assert re.search(r"62\.2 M +[0-9.]+ GiB +paper-swin-unetr +multiples of 32, at least 64", rows["swin_unetr"])
