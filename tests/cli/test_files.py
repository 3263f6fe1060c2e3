"""`check`, `fmt` and `compile`: the commands on formula files."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any


def test_check_says_that_all_is_well(fdifc: Any, shapes: Path) -> None:
    result = fdifc("check", shapes)
    assert (result.exit_code, result.output) == (0, "1 file checked, nothing wrong\n")


def test_check_tells_a_mistake_with_its_place(fdifc: Any, tmp_path: Path) -> None:
    file = tmp_path / "ball.sdf"
    file.write_text("shape ball {\n  distance = lenght(p) - 3\n}\n")
    result = fdifc("check", file)
    assert result.exit_code == 1 and result.stdout == ""
    assert f"{file}:2:14" in result.stderr and "did you mean `length`?" in result.stderr


def test_check_as_json(fdifc: Any, tmp_path: Path) -> None:
    file = tmp_path / "ball.sdf"
    file.write_text("shape ball {\n  distance = lenght(p) - 3\n}\n")
    result = fdifc("check", "--format", "json", file)
    [found] = json.loads(result.stdout)
    assert result.exit_code == 1
    assert (found["labels"][0]["line"], found["labels"][0]["column"]) == (2, 14)


ODD = """\
use std
mapper flat { intensity = d }
mapper dark { intensity = sqrt(-1 - d * d) }
displacement far { offset = 1 / abs(p.x - p.x) }
shape allnan { distance = sqrt(-1 - p.x * p.x) }
shape posinf { distance = 1 / abs(p.x - p.x) }
shape big {
  r ~ uniform(1, 2) * 1e39
  distance = length(p) - r
}
shape bad {
  r ~ sqrt(uniform(-2, -1))
  distance = length(p) - r
}
shape rarely {
  r ~ vec2(3, log(uniform(-1, 3)))
  wall ~ uniform(0, 1) * r.x
  distance = onion(length(p) - r.y, wall)
}
shape part(lo) {
  r ~ 5 / (uniform(lo, lo) - lo)
  distance = length(p) - r
}
shape user { one = part(3)  distance = one(p) }
shape deep { depth = deepest(length(p) - 4)  distance = sqrt(depth) }
shape good { r ~ uniform(3, 4)  distance = where(p.x > 0, sqrt(p.x), length(p) - r) }
"""


def test_check_warns_of_what_no_one_will_see(fdifc: Any, tmp_path: Path) -> None:
    (tmp_path / "odd.sdf").write_text(ODD)
    (tmp_path / "uses.sdf").write_text("use odd\nuse classes\nshape own { one = posinf  distance = one(p) }\n")
    result = fdifc("check", tmp_path / "odd.sdf")
    assert (result.exit_code, result.stdout) == (0, "1 file checked, 9 warnings\n")
    said = re.findall(r"^warning\[(\w+)\]: (.*)\n +--> .*odd.sdf:(\d+):", result.stderr, re.MULTILINE)
    assert said == [
        ("E0312", "the intensity of `dark` is NaN wherever it was computed", "3"),
        ("E0312", "the offset of `far` is infinite wherever it was computed", "4"),
        ("E0312", "the distance of `allnan` is NaN wherever it was computed", "5"),
        ("E0312", "the distance of `posinf` is infinite wherever it was computed", "6"),
        ("E0312", "the distance of `big` is infinite wherever it was computed", "7"),
        ("E0311", "the prior of `r` never gives a number", "12"),
        ("E0311", "the prior of `r` may not give a number", "16"),
        ("E0311", "the prior of `r` never gives a number", "24"),
        ("E0312", "the distance of `deep` is NaN wherever it was computed", "25"),
    ]
    assert result.stderr.startswith("""\
warning[E0312]: the intensity of `dark` is NaN wherever it was computed
  --> %s:3:8
  |
3 | mapper dark { intensity = sqrt(-1 - d * d) }
  |        ^^^^ looked at in some hundreds of points
  why: an intensity that is NaN adds nothing, and an infinite one is the darkest or the brightest; a kernel computes \
in float32, which ends at 3.4e38
  hint: look for a square root or logarithm of what is negative, a division by 0, or a huge number
""" % (tmp_path / "odd.sdf"))
    result = fdifc("check", "--format", "json", tmp_path / "uses.sdf", tmp_path / "odd.sdf")
    found = json.loads(result.stdout)
    assert result.exit_code == 0 and len(found) == 10 and {d["severity"] for d in found} == {"warning"}


def test_check_warns_of_textures_too(fdifc: Any, tmp_path: Path) -> None:
    (tmp_path / "odd.sdf").write_text("""\
displacement dent { depth ~ log(uniform(-2, -1))  offset = depth * sin(p.x) }
mapper spot { level ~ 1 / (uniform(2, 2) - 2)  intensity = level + p.x }
mapper hole { level ~ uniform(1, 2)  intensity = level * sqrt(-1 - length(w)) }
mapper fine { level ~ uniform(1, 2)  intensity = where(d < 0, level * sqrt(p.x), w.y) }
""")
    result = fdifc("check", tmp_path / "odd.sdf")
    assert re.findall(r"^warning\[(\w+)\]: (.*)\n +--> .*odd.sdf:(\d+):", result.stderr, re.MULTILINE) == [
        ("E0311", "the prior of `depth` never gives a number", "1"),
        ("E0311", "the prior of `level` never gives a number", "2"),
        ("E0312", "the intensity of `hole` is NaN wherever it was computed", "3"),
    ]
    assert "  why: where a parameter is NaN, so are most intensities, and NaN adds nothing: the object is black\n" in (
        result.stderr)


def test_check_warns_of_nothing_in_the_library(fdifc: Any) -> None:
    from fdif_dsl.compiler.frontend.built_in import standard_files
    from fdif_dsl.compiler.library import load_library
    from fdif_dsl.compiler.passes.finite import nowhere_finite, without_number

    assert fdifc("check", *standard_files()).exit_code == 0
    for formula in load_library().formulas:  # of ours, nothing is told
        assert not nowhere_finite(formula) and not list(without_number(formula)), formula.name


def test_a_mistake_leaves_no_room_for_warnings(fdifc: Any, tmp_path: Path) -> None:
    (tmp_path / "odd.sdf").write_text(ODD + "shape wrong { distance = lenght(p) }\n")
    result = fdifc("check", "--format", "json", tmp_path / "odd.sdf")
    [found] = json.loads(result.stdout)
    assert result.exit_code == 1 and "severity" not in found


def test_check_of_a_file_that_is_not_there(fdifc: Any, tmp_path: Path) -> None:
    result = fdifc("check", tmp_path / "gone.sdf")
    assert result.exit_code == 1 and result.stderr.startswith("error[") and "gone.sdf" in result.stderr


def test_fmt_rewrites_once(fdifc: Any, tmp_path: Path) -> None:
    file = tmp_path / "ball.sdf"
    file.write_text("## A ball.\nshape   ball{\n radius~uniform( 1,2 )\n distance=length(p)-radius }\n")
    before = file.read_text()
    assert (fdifc("fmt", "--check", file).exit_code, file.read_text()) == (1, before)
    result = fdifc("fmt", file)
    assert result.exit_code == 0 and result.output.startswith(f"reformatted {file}\n")
    assert "  distance = length(p) - radius\n" in file.read_text()
    assert fdifc("fmt", "--check", file).exit_code == 0


def test_fmt_changes_nothing_where_one_file_is_wrong(fdifc: Any, tmp_path: Path) -> None:
    good, bad = tmp_path / "good.sdf", tmp_path / "bad.sdf"
    good.write_text("shape   ball{ distance=length(p) - 1 }\n")
    bad.write_text("shape {\n")
    before = good.read_text()
    assert fdifc("fmt", good, bad).exit_code == 1
    assert good.read_text() == before


def test_fmt_of_a_file_that_is_no_text(fdifc: Any, tmp_path: Path) -> None:
    file = tmp_path / "ball.sdf"
    file.write_bytes(b"shape \xff\xfe {")
    result = fdifc("fmt", file)
    assert result.exit_code == 1 and result.stderr.startswith("error[") and "ball.sdf" in result.stderr


def test_fmt_of_a_folder(fdifc: Any, tmp_path: Path) -> None:
    result = fdifc("fmt", tmp_path)
    assert (result.exit_code, result.stderr) == (1, f"error[E0844]: {tmp_path} is no file\n  hint: name .sdf files\n")


def test_compile_and_load(fdifc: Any, shapes: Path, tmp_path: Path) -> None:
    out = tmp_path / "compiled"
    result = fdifc("compile", shapes, "-o", out)
    assert result.exit_code == 0, result.output
    said = f"2 shapes, 1 displacements and 1 mappers compiled into {out} (%s)\n"
    kernels = len(list(out.glob("cpu/*.o")))
    assert re.sub(r"\(\d+ kernels? compiled, \d+ reused\)", "(%s)", result.stdout) == said
    assert fdifc("compile", shapes, "-o", out).stdout == said % f"0 kernels compiled, {kernels} reused"
    assert "ball" in fdifc("list", "shapes", "--library", out).output


def test_compile_leaves_a_foreign_folder_alone(fdifc: Any, shapes: Path, tmp_path: Path) -> None:
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter1.tex").write_text("\\section{}")
    result = fdifc("compile", shapes, "-o", tmp_path / "thesis")
    assert result.exit_code == 1 and "holds something else" in result.stderr
    assert [p.name for p in (tmp_path / "thesis").iterdir()] == ["chapter1.tex"]


def test_compile_needs_a_place(fdifc: Any, shapes: Path) -> None:
    result = fdifc("compile", shapes)
    assert result.exit_code == 2 and "-o DIR" in result.stderr


def test_compile_for_an_unknown_target(fdifc: Any, shapes: Path, tmp_path: Path) -> None:
    result = fdifc("compile", shapes, "-o", tmp_path / "out", "--target", "gpu")
    assert result.exit_code == 1
    assert result.stderr == """\
error[E0841]: there is no target `gpu`
  --> --target
  why: the targets are cpu, cuda, levels of CPUs such as cpu:x86-64-v3 and kinds of GPU such as cuda:sm_90
  hint: did you mean `cpu`?
"""


def test_compile_for_several_targets(fdifc: Any, shapes: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    result = fdifc("compile", shapes, "-o", out, "--target", "cpu", "--target", "cuda:sm_90", "--target", "cpu")
    assert result.exit_code == 0, result.output
    assert len(list(out.glob("cuda-sm_90/*.ptx"))) == len(list(out.glob("cuda-sm_90/*.cubin"))) > 5
    assert list(out.glob("cpu/*.o"))
    result = fdifc("compile", shapes, "-o", out, "--target", "cuda:sm_1")
    assert result.exit_code == 1 and result.stderr.startswith("error[E0846]: `cuda:sm_1` is no kind of GPU\n")
    assert list(out.glob("cpu/*.o"))  # what was there stays


def test_explain_prints_the_graph_after_each_pass(fdifc: Any, shapes: Path) -> None:
    result = fdifc("compile", shapes, "--explain", "ball")
    assert result.exit_code == 0
    assert result.output.startswith("shape ball\n") and "cube" not in result.output
    for name in ("elaborated:", "after simplify:", "after cse:", "rates", "its bounds over a box: "):
        assert name in result.output


def test_explain_without_a_name_takes_all(fdifc: Any, shapes: Path) -> None:
    output = fdifc("compile", shapes, "--explain").output
    assert all(name in output for name in ("shape ball", "shape cube", "displacement waves", "mapper glow"))
