"""`generate` and `verify` as a user meets them: what they say, and what lies on disk."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest

from fdif_dsl.compiler.library import load_library
from fdif_dsl.runtime.datasets.manifest import digest
from fdif_dsl.runtime.datasets.record import FIRST, VALIDATION
from fdif_dsl.runtime.recipe import Recipe
from fdif_dsl.runtime.scenes.render import render
from fdif_dsl.runtime.scenes.sampler import sample_scene
from fdif_dsl.runtime.scenes.scene import Scene


@pytest.fixture
def uneven(tmp_path: Path, recipe: Path) -> Path:
    """A recipe whose grid has three different sides."""
    path = tmp_path / "uneven.toml"
    path.write_text(recipe.read_text().replace("[16, 16, 16]", "[12, 16, 20]"))
    return path


@pytest.fixture
def generate(fdifc: Any, shapes: Path, recipe: Path) -> Any:
    """Runs `fdifc generate` on the small library and recipe."""
    return lambda *arguments: fdifc("generate", "--library", shapes, "--recipe", recipe, *arguments)


def files(folder: Path) -> dict[str, str]:
    return {p.relative_to(folder).as_posix(): digest(p.read_bytes()) for p in sorted(folder.rglob("*")) if p.is_file()}


def voxels(path: Path) -> np.ndarray:
    file: Any = nibabel.load(path)
    return np.asarray(file.dataobj)


def test_what_is_lost_to_nan_is_told(fdifc: Any, recipe: Path, tmp_path: Path) -> None:
    """An object whose distance is NaN has no voxel; one that is small, or out of the grid, is no news."""
    (tmp_path / "odd.sdf").write_text("""\
shape bad { r ~ sqrt(uniform(-2, -1))  distance = length(p) - r }
shape tiny { distance = length(p) + 1 }
displacement waves { offset = sin(p.x) / 100 }
mapper glow { intensity = 100 }
""")
    arguments = ("generate", "--recipe", recipe, "--count", 6, "-o", tmp_path / "set",
                 "--library", tmp_path / "odd.sdf")
    result = fdifc(*arguments, "--scenes")
    scenes = [json.loads(path.read_text()) for path in (tmp_path / "set").glob("scenesTr/*.json")]
    names = [o["class"] for scene in scenes for o in scene["objects"]]
    assert result.exit_code == 0 and len(scenes) == 6 and 1 < names.count("bad") < len(names)
    assert result.stderr.endswith(
        f"warning: {names.count('bad')} objects have no voxel, as their distance is NaN: `bad` ({names.count('bad')})\n"
        "  hint: `fdifc check` of the file may say why\n")
    assert "warning" not in fdifc(*arguments, "--scenes").stderr  # nothing was made


def test_what_finds_no_place_is_told(fdifc: Any, tmp_path: Path) -> None:
    """Two cubes of 9 voxels do not fit side by side into 12, wherever the first one lies."""
    (tmp_path / "cubes.sdf").write_text("""\
shape cube { distance = max(abs(p.x), abs(p.y), abs(p.z)) - 4 }
mapper glow { intensity = where(d > 0, 0, 100) }
""")
    (tmp_path / "full.toml").write_text(
        '[volume]\ngrid = [12, 12, 12]\nobjects = 3\n[classes]\ndisplacements = []\n'
        '[placement]\ntranslate = "inside"\nrotation = 0\nshear = 0\noverlap = 0.1\ntries = 20\n')
    arguments = ("generate", "--recipe", tmp_path / "full.toml", "--count", 4, "-o", tmp_path / "set",
                 "--library", tmp_path / "cubes.sdf")
    result = fdifc(*arguments)
    assert result.exit_code == 0
    assert result.stderr.endswith("note: 8 of 12 objects were left out: in 20 tries none of them found a place inside "
                                  "the grid where earlier ones cover at most 0.1 of it\n")
    assert "| objects in a volume | 3, less those that find no place |" in (tmp_path / "set/README.md").read_text()
    assert "note" not in fdifc(*arguments).stderr  # nothing was made


def test_a_data_set(fdifc: Any, shapes: Path, uneven: Path, tmp_path: Path) -> None:
    out = tmp_path / "set"
    result = fdifc("generate", "--recipe", uneven, "--count", 3, "--validation", 1, "--seed", 5, "-o", out,
                   "--library", shapes, "--scenes")
    assert result.exit_code == 0, result.output
    assert result.output.startswith(f"4 volumes in {out}: 4 made, ")
    assert result.output.endswith(f" a second\npicture in {out / 'overview.png'}\n")
    lib = load_library(shapes)
    for ending, name, index in [("Tr", f"case_{i:05d}", i) for i in range(3)] + [
            ("Val", "case_00000", FIRST[VALIDATION])]:
        volume = render(sample_scene(lib, 5, index, Recipe.load(uneven)), lib)
        for folder, expected in (("images", volume.image), ("labels", volume.label)):
            file: Any = nibabel.load(out / f"{folder}{ending}" / f"{name}.nii.gz")
            assert file.shape == (20, 16, 12)  # x, y, z
            assert file.get_data_dtype() == np.uint8 and np.array_equal(file.affine, np.eye(4))
            assert np.array_equal(np.asarray(file.dataobj).transpose(2, 1, 0), expected)
            assert bytes(file.header["descrip"]).decode().rstrip("\0") == (
                f"fdif seed=5 index={index} library={lib.hash[:8]} recipe=uneven")
        scene = Scene.from_json(out / f"scenes{ending}" / f"{name}.json")
        assert np.array_equal(render(scene, lib).image, volume.image)
    assert (out / "README.md").read_text().startswith("# FDIF uneven\n\n4 volumes of the recipe uneven, ")


def test_plain_files(generate: Any, tmp_path: Path) -> None:
    for level in (0, 9):
        assert generate("--count", 1, "-o", tmp_path / str(level), "--level", level).exit_code == 0
    plain, packed = (next((tmp_path / name / "imagesTr").iterdir()) for name in "09")
    assert plain.name == "case_00000.nii" and plain.stat().st_size == 352 + 16**3
    assert packed.name == "case_00000.nii.gz" and packed.stat().st_size < plain.stat().st_size
    assert np.array_equal(voxels(plain), voxels(packed))


def test_what_is_whole_is_kept_and_what_is_not_is_made_again(generate: Any, tmp_path: Path) -> None:
    out = tmp_path / "set"
    generate("--count", 4, "-o", out)
    before = files(out)
    times = {path: (out / path).stat().st_mtime_ns for path in before}
    (out / "imagesTr" / "case_00001.nii.gz").unlink()
    (out / "labelsTr" / "case_00002.nii.gz").write_bytes(b"something else")
    (out / "datalist.json").unlink()
    result = generate("--count", 4, "-o", out)
    assert result.output.startswith(f"4 volumes in {out}: 2 made, ") and ", 2 kept\n" in result.output
    assert files(out) == before
    assert all((out / f"imagesTr/case_0000{i}.nii.gz").stat().st_mtime_ns == times[f"imagesTr/case_0000{i}.nii.gz"]
               for i in (0, 3))


def test_a_data_set_grows_to_what_it_would_have_been(generate: Any, tmp_path: Path) -> None:
    generate("--count", 2, "-o", tmp_path / "grown")
    result = generate("--count", 5, "--validation", 2, "-o", tmp_path / "grown")
    assert "7 volumes" in result.output and ", 2 kept" in result.output
    generate("--count", 5, "--validation", 2, "-o", tmp_path / "new")
    assert files(tmp_path / "grown") == files(tmp_path / "new")


def test_shards_make_the_same_in_any_order(generate: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    generate("--count", 7, "-o", tmp_path / "whole")
    out = tmp_path / "shards"
    first = generate("--count", 7, "-o", out, "--shard", "3/3")
    assert first.output.startswith(f"shard 3/3: 2 volumes in {out}: 2 made, ")
    assert first.output.endswith(
        "\n5 of 7 are to come from other shards; the last one writes the lists\n")
    assert not (out / "datalist.json").exists()
    for name, value in (("ID", "10"), ("MIN", "10"), ("COUNT", "3"), ("STEP", "5")):
        monkeypatch.setenv(f"SLURM_ARRAY_TASK_{name}", value)
    assert generate("--count", 7, "-o", out, "--shard", "slurm").output.startswith("shard 1/3: 3 volumes")
    last = generate("--count", 7, "-o", out, "--shard", "2/3")
    assert last.output.endswith(f"\npicture in {out / 'overview.png'}\n")
    assert files(out) == files(tmp_path / "whole")


@pytest.mark.parametrize(("text", "said"), [
    ("3", "`3` is no shard\n  --> --shard\n  hint: write the third of sixteen as 3/16"),
    ("0/4", "there is no shard 0 of 4\n  --> --shard\n  why: shards count from 1\n"
     "  hint: the first of sixteen is 1/16, the last 16/16"),
    ("5/4", "there is no shard 5 of 4\n  --> --shard\n  hint: the first of sixteen is 1/16, the last 16/16"),
    ("slurm", "this is no task of a Slurm job array\n  --> --shard\n  why: SLURM_ARRAY_TASK_ID is not set\n"
     "  hint: submit it with sbatch --array=1-16, or say which shard it is, such as --shard 3/16"),
])
def test_no_shard(generate: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, said: str) -> None:
    for name in [name for name in os.environ if name.startswith("SLURM_")]:
        monkeypatch.delenv(name)
    result = generate("--count", 7, "-o", tmp_path / "out", "--shard", text)
    assert (result.exit_code, result.stderr) == (1, f"error[E0884]: {said}\n")
    assert not (tmp_path / "out").exists()


def test_tasks_of_a_slurm_array_that_are_not_evenly_spaced(
        generate: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("ID", "9"), ("MIN", "1"), ("COUNT", "3"), ("STEP", "1")):
        monkeypatch.setenv(f"SLURM_ARRAY_TASK_{name}", value)
    assert generate("--count", 7, "-o", tmp_path / "out", "--shard", "slurm").stderr == """\
error[E0884]: task 9 of the Slurm job array has no place among its 3 tasks
  --> --shard
  why: the numbers of the tasks are not evenly spaced
  hint: submit it with sbatch --array=1-16
"""


def test_another_data_set_is_left_alone(generate: Any, tmp_path: Path) -> None:
    out = tmp_path / "set"
    generate("--count", 2, "-o", out, "--seed", 1)
    before = files(out)
    result = generate("--count", 2, "-o", out, "--seed", 2, "--scenes")
    assert (result.exit_code, result.stderr) == (1, f"""\
error[E0881]: {out} holds another data set
  why: seed is 1 there, and here 2; and 1 more
  hint: name another folder, or make it anew with --overwrite
""")
    assert files(out) == before


@pytest.mark.parametrize("damaged", [False, True])
def test_overwriting(generate: Any, tmp_path: Path, damaged: bool) -> None:
    out = tmp_path / "set"
    generate("--count", 3, "-o", out, "--seed", 1, *([] if damaged else ["--scenes", "--validation", 1]))
    if damaged:
        (out / "manifest.jsonl").write_text("?")
    assert generate("--count", 2, "-o", out, "--seed", 2, "--overwrite").exit_code == 0
    generate("--count", 2, "-o", tmp_path / "new", "--seed", 2)
    assert files(out) == files(tmp_path / "new")
    assert sorted(p.name for p in out.iterdir()) == sorted(p.name for p in (tmp_path / "new").iterdir())


def test_fewer_volumes_than_there_are(generate: Any, tmp_path: Path) -> None:
    out = tmp_path / "set"
    generate("--count", 3, "-o", out)
    assert generate("--count", 2, "-o", out).stderr == f"""\
error[E0882]: {out} is to have 3 volumes for training, not 2
  why: an earlier run was asked for so many
  hint: ask for as many or more, name another folder, or make it anew with --overwrite
"""


def test_a_foreign_folder_is_left_alone(generate: Any, tmp_path: Path) -> None:
    out = tmp_path / "photos"
    out.mkdir()
    (out / "cat.jpg").write_bytes(b"")
    for more in ([], ["--overwrite"]):
        result = generate("--count", 1, "-o", out, *more)
        assert (result.exit_code, result.stderr) == (1, f"""\
error[E0804]: {out} holds files of something else
  why: it is not empty, and no data set of fdifc
  hint: name a new or empty folder with -o
""")
    assert [p.name for p in out.iterdir()] == ["cat.jpg"]


def test_a_file_in_the_way(generate: Any, tmp_path: Path) -> None:
    (tmp_path / "out").write_text("")
    result = generate("--count", 1, "-o", tmp_path / "out")
    assert (result.exit_code, result.stderr) == (
        1, f"error[E0803]: {tmp_path / 'out'} is a file, and a folder is to go there\n"
        "  hint: name another folder with -o\n")


@pytest.mark.parametrize("text", [
    "", "{", "[]\n", '{"manifest": 1}\n', '{"manifest":1,"data_set":{},"volumes":{}}\n3\n',
    '{"manifest":1,"data_set":{},"volumes":{}}\n{"lists":{"../../x":"y"}}\n'])
def test_a_damaged_manifest(fdifc: Any, generate: Any, tmp_path: Path, text: str) -> None:
    out = tmp_path / "set"
    generate("--count", 1, "-o", out)
    whole = files(out)
    (out / "manifest.jsonl").write_text(text)
    said = f"""\
error[E0885]: {out / 'manifest.jsonl'} cannot be used
  why: it was changed by something else, or damaged
  hint: name another folder, or make the data set anew with --overwrite
"""
    assert generate("--count", 1, "-o", out).stderr == said
    assert fdifc("verify", out).stderr == said
    assert generate("--count", 1, "-o", out, "--overwrite").exit_code == 0
    assert files(out) == whole


def test_a_manifest_of_another_version(fdifc: Any, generate: Any, tmp_path: Path) -> None:
    generate("--count", 1, "-o", tmp_path)
    (tmp_path / "manifest.jsonl").write_text('{"manifest":7}\n')
    assert "why: its format is 7, and this version of fdif-dsl reads 1\n" in fdifc("verify", tmp_path).stderr


def test_an_interrupted_run_leaves_no_list_and_no_half_file(
        generate: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from fdif_dsl.runtime.datasets import case

    generate("--count", 2, "-o", tmp_path / "whole")
    out = tmp_path / "set"
    generate("--count", 1, "-o", out)

    def stop(*_: Any, **__: Any) -> Any:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(case, "scan", stop)
        result = generate("--count", 2, "-o", out)
    assert (result.exit_code, result.stderr) == (130, "interrupted\n")
    assert not (out / "datalist.json").exists()
    assert not list(out.rglob(".????????-*"))
    assert generate("--count", 2, "-o", out).exit_code == 0
    assert files(out) == files(tmp_path / "whole")


def test_verify(fdifc: Any, generate: Any, shapes: Path, tmp_path: Path) -> None:
    out = tmp_path / "set"
    generate("--count", 12, "-o", out)
    assert fdifc("verify", out, "--library", shapes, "--sample", 3).output == (
        f"{out}: 12 volumes, 31 files as they were written, 3 volumes rendered again, the same\n")
    (out / "imagesTr" / "case_00001.nii.gz").unlink()
    (out / "labelsTr" / "case_00002.nii.gz").write_bytes(b"something else")
    result = fdifc("verify", out, "--library", shapes)
    assert (result.exit_code, result.stderr) == (1, f"""\
error[E0940]: 1 file of {out} is missing
  why: imagesTr/case_00001.nii.gz
  hint: give the command that made it again; it makes anew what is missing or changed

error[E0941]: 1 file of {out} is not what was written
  why: labelsTr/case_00002.nii.gz
  hint: give the command that made it again; it makes anew what is missing or changed
""")


def test_verify_finds_what_has_the_right_checksum_and_the_wrong_voxels(
        fdifc: Any, generate: Any, shapes: Path, tmp_path: Path) -> None:
    from fdif_dsl.runtime.datasets.manifest import digest

    out = tmp_path / "set"
    generate("--count", 2, "-o", out)
    paths = [out / "imagesTr" / f"case_0000{i}.nii.gz" for i in (0, 1)]
    old, new = (path.read_bytes() for path in paths)
    manifest = (out / "manifest.jsonl").read_text()
    paths[0].write_bytes(new)
    (out / "manifest.jsonl").write_text(manifest.replace(digest(old), digest(new)))
    assert fdifc("verify", out, "--library", shapes).stderr == f"""\
error[E0942]: 1 file of {out} is not what is rendered now
  why: imagesTr/case_00000.nii.gz
  hint: was it made by another version of fdif-dsl?
"""


def test_verify_takes_voxels_packed_in_another_way_for_the_same(
        fdifc: Any, generate: Any, shapes: Path, tmp_path: Path) -> None:
    """As another version of the compressor would pack them."""
    import gzip

    from fdif_dsl.runtime.datasets.manifest import digest

    out = tmp_path / "set"
    generate("--count", 1, "-o", out)
    path = out / "imagesTr" / "case_00000.nii.gz"
    old = path.read_bytes()
    new = gzip.compress(gzip.decompress(old), 1, mtime=0)
    assert new != old
    path.write_bytes(new)
    manifest = out / "manifest.jsonl"
    manifest.write_text(manifest.read_text().replace(digest(old), digest(new)))
    assert fdifc("verify", out, "--library", shapes).exit_code == 0


def test_verify_what_is_not_whole(fdifc: Any, generate: Any, shapes: Path, tmp_path: Path) -> None:
    out = tmp_path / "set"
    generate("--count", 4, "-o", out, "--shard", "1/2")
    assert fdifc("verify", out, "--library", shapes).stderr == f"""\
error[E0943]: {out} is not whole
  why: it has 2 of 4 volumes
  hint: give the command that makes it again; it goes on from there
"""


def test_verify_with_another_library(fdifc: Any, generate: Any, shapes: Path, tmp_path: Path) -> None:
    out = tmp_path / "set"
    generate("--count", 1, "-o", out)
    theirs = load_library(shapes).hash[:12]
    shapes.write_text(shapes.read_text().replace("0.15, 0.3", "0.15, 0.31"))
    ours = load_library(shapes).hash[:12]
    assert fdifc("verify", out, "--library", shapes).stderr == f"""\
error[E0887]: {out} was made from another library
  --> --library
  why: its hash is {theirs} there, and {ours} here
  hint: name the library that it was made from; with --sample 0 only checksums are compared
"""
    assert fdifc("verify", out, "--sample", 0).exit_code == 0


def test_verify_where_there_is_nothing(fdifc: Any, generate: Any, tmp_path: Path) -> None:
    generate("--count", 1, "--format", "nnunet", "-o", tmp_path / "raw")
    assert fdifc("verify", tmp_path / "raw").stderr == f"""\
error[E0886]: {tmp_path / 'raw'} holds no data set of fdifc
  why: it has no manifest.jsonl
  hint: there is one in {tmp_path / 'raw' / 'Dataset901_FDIF'}
"""


@pytest.mark.parametrize("chosen", [None, '["ball", "cube"]'])
def test_unions(fdifc: Any, generate: Any, shapes: Path, recipe: Path, tmp_path: Path, chosen: str | None) -> None:
    if chosen is not None:
        recipe.write_text(recipe.read_text().replace("[classes]", f"[classes]\nshapes = {chosen}"))
    out = tmp_path / "set"
    assert generate("--count", 6, "-o", out, "--unions", 1).exit_code == 0
    assert json.loads((out / "datalist.json").read_text())["labels"] == {
        "0": "background", "1": "ball", "2": "cube", "3": "union_ball_cube"}
    assert json.loads((out / "summary.json").read_text())["tasks"]["shape"][2]["objects"] > 0
    assert fdifc("verify", out, "--library", shapes).exit_code == 0
    assert generate("--count", 6, "-o", tmp_path / "more", "--unions", 2).stderr == """\
error[E0925]: 2 unions of two of 2 classes
  --> --unions
  why: so many make 1 pair
  hint: ask for fewer, or choose from more classes
"""


@pytest.mark.parametrize(("arguments", "said"), [
    (["--dataset-id", 7], "--dataset-id and --dataset-name are for --format nnunet"),
    (["--format", "nnunet", "--dataset-name", "a b"], "--dataset-name 'a b': use letters, digits, `_` and `-`"),
    (["--format", "nnunet", "--validation", 1, "--dataset-id", 999],
     "--dataset-id 999: the volumes for validation need the next number; this is the last"),
    (["--format", "classification", "--validation", 1],
     "--validation is not for --format classification: its five folds are in splits_final.json"),
    (["--overwrite", "--shard", "1/2"], "--overwrite and --shard: each shard would remove what the others wrote"),
    (["--workers", 2], "--workers is for --scheduler local"),
])
def test_options_that_do_not_go_together(generate: Any, tmp_path: Path, arguments: list[Any], said: str) -> None:
    result = generate("--count", 5, "-o", tmp_path / "out", *arguments)
    assert result.exit_code == 2 and result.stderr.endswith(f"\nError: {said}\n")
    assert not (tmp_path / "out").exists()


def test_an_unknown_recipe(fdifc: Any, tmp_path: Path) -> None:
    result = fdifc("generate", "--recipe", "papper", "--count", 1, "-o", tmp_path / "out")
    assert result.exit_code == 1 and "did you mean `paper`?" in result.stderr
    assert not (tmp_path / "out").exists()


def test_an_unknown_format(fdifc: Any, tmp_path: Path) -> None:
    result = fdifc("generate", "--count", 1, "-o", tmp_path / "out", "--format", "dicom")
    assert result.exit_code == 2 and "'dicom'" in result.stderr


def test_a_recipe_brings_its_library(fdifc: Any, tmp_path: Path) -> None:
    """Neither `generate` nor `verify` needs to be told; another library given is taken instead."""
    path, folder = tmp_path / "mine.toml", tmp_path / "set"
    path.write_text('[volume]\ngrid = [12, 12, 12]\nobjects = 2\n[classes]\nlibrary = ["organic", "mappers"]\n'
                    'shapes = ["kidney"]\ndisplacements = []\nmappers = ["modular_5"]\n')
    made = fdifc("generate", "--recipe", path, "--count", 2, "-o", folder)
    assert made.exit_code == 0, made.output
    checked = fdifc("verify", folder)
    assert checked.exit_code == 0 and "2 volumes rendered again, the same" in checked.output
    other = fdifc("generate", "--recipe", path, "--count", 2, "-o", tmp_path / "other", "--library", "standard")
    assert other.exit_code == 1 and "the library has no shape `kidney`" in other.stderr
    assert "it is of the library `organic`, which is not used" in other.stderr
