"""The wheel holds every folder of the package: the folders are mapped by hand, and one is easily forgotten."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import nibabel
import numpy as np
import pytest

ROOT = Path(__file__).parents[1]
FOLDERS = ("fdif_dsl", "grammar", "compiler", "runtime", "shapes")


def test_every_folder_is_a_listed_package() -> None:
    listed = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]
    found = set()
    for folder in FOLDERS:
        for path in [ROOT / folder, *(ROOT / folder).rglob("*")]:
            if path.is_dir() and path.name != "__pycache__" and not path.name.startswith("."):
                inside = ".".join(path.relative_to(ROOT).parts)
                found.add(inside if folder == "fdif_dsl" else f"fdif_dsl.{inside}")
    assert found == set(listed)


def test_the_installed_package_has_its_data() -> None:
    import fdif_dsl

    home = Path(fdif_dsl.__file__).parent
    if home == ROOT / "fdif_dsl":  # an editable install reads the folders themselves
        return
    for folder in FOLDERS[1:]:
        for path in (ROOT / folder).rglob("*"):
            if path.suffix in (".sdf", ".toml", ".lark", ".py"):
                assert (home / path.relative_to(ROOT)).is_file(), path


@pytest.mark.slow  # it builds a wheel
def test_the_wheel_holds_what_is_needed_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "copy" / "tests").mkdir(parents=True)
    (tmp_path / "copy" / "tests" / "test_no_part_of_it.py").touch()
    wheel = built_wheel(tmp_path)
    held = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    wanted = set()
    for folder in FOLDERS:
        home, copy = "" if folder == "fdif_dsl" else "fdif_dsl/", tmp_path / "copy"
        wanted |= {home + path.relative_to(copy).as_posix() for path in (copy / folder).rglob("*") if path.is_file()}
    assert held == wanted
    text = zipfile.ZipFile(wheel)
    metadata = text.read(next(name for name in text.namelist() if name.endswith("/METADATA"))).decode()
    assert "License-Expression: Apache-2.0" in metadata and any(n.endswith("/LICENSE") for n in text.namelist())


def built_wheel(folder: Path) -> Path:
    """A wheel of this clone, built in a copy of what it is made of."""
    pytest.importorskip("setuptools")
    copy, out = folder / "copy", folder / "out"
    for part in FOLDERS:
        shutil.copytree(ROOT / part, copy / part, ignore=lambda place, names: {
            name for name in names if name == "__pycache__" or (Path(place) / name).is_symlink()})
    for name in ("pyproject.toml", "README.md", "LICENSE", "MANIFEST.in"):
        shutil.copy(ROOT / name, copy)
    build = "import sys; from setuptools import build_meta; build_meta.build_wheel(sys.argv[1])"
    done = subprocess.run([sys.executable, "-c", build, str(out)], cwd=copy, capture_output=True, text=True,
                          check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    (wheel,) = out.glob("*.whl")
    return wheel


@pytest.mark.long  # it installs the package with its extras, trains twice and draws 5,000 volumes: about 20 minutes
def test_each_command_of_the_readme_works_where_nothing_else_is_installed(tmp_path: Path) -> None:
    """In a new environment that has the wheel, in an empty folder, with an empty home."""
    home, place, bin_ = tmp_path / "home", tmp_path / "place", tmp_path / "env" / "bin"
    home.mkdir()
    _images_of_mine(place)
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "env"], check=True)
    wheel = f"{built_wheel(tmp_path)}[train,nnunet,hub,lsp,play]"
    install = subprocess.run([bin_ / "pip", "install", "-q", "-c", ROOT / "constraints.txt", wheel],
                             capture_output=True, text=True, check=False)
    if re.search("NewConnectionError|No matching distribution found for setuptools", install.stderr):
        pytest.skip("no package index can be reached")
    assert install.returncode == 0, install.stderr
    kept = {name: os.environ[name] for name in ("PATH", "LANG", "TMPDIR") if name in os.environ}
    environment = {**kept, "PATH": f"{bin_}:{kept['PATH']}", "HOME": str(home), "nnUNet_raw": str(place / "raw")}

    def run(command: str) -> None:
        done = subprocess.run(command, shell=True, cwd=place, env=environment, input="", capture_output=True, text=True,
                              check=False)
        said = done.stdout + done.stderr
        assert done.returncode == 0 and "Traceback" not in said, f"{command}\n{said}"

    def serve(command: str) -> None:
        """Starts what runs until Ctrl-C, and ends it once it says where it is."""
        with subprocess.Popen(shlex.split(command), cwd=place, env={**environment, "BROWSER": "true"}, text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
            assert process.stdout is not None
            found = any("http://127.0.0.1:" in line for line in process.stdout)
            process.send_signal(signal.SIGINT)
        assert found, command

    text = (ROOT / "README.md").read_text("utf-8").partition("## On the command line\n")[2].partition("\n## ")[0]
    commands = re.findall(r"^    (fdifc .*?)\s*(?:#.*)?$", text, re.MULTILINE)
    assert len(commands) >= 14
    for command in commands:
        if command.startswith("fdifc nnunet-plans"):  # the line before it says for which recipes this is
            run("fdifc pretrain paper-resenc-l -o large train.accelerator=cpu train.steps=1 train.batch=1 "
                "monitor.validate=0 volume.grid=[64,64,64] train.patch=[64,64,64]")
            run("fdifc export large --to nnunet -o run/nnunet")
        (serve if command.startswith("fdifc play") else run)(command)
    for made in ("star.png", "build/std", "volumes/dataset.json", "raw", "run/weights.pt", "runs/small", "labels"):
        assert (place / made).exists(), made
    assert len(list((place / "labels").glob("*.nii.gz"))) == 2


def _images_of_mine(place: Path) -> None:
    """What the commands name and do not make: a data set of 24 cases, two images, and a plan of nnU-Net's."""
    random = np.random.default_rng(0)
    axes = np.stack(np.meshgrid(*[np.arange(32)] * 3, indexing="ij"))
    entries = []
    for i in range(26):
        label = ((axes - random.uniform(12, 20, (3, 1, 1, 1))) ** 2).sum(0) < random.uniform(5, 9) ** 2
        image = label * 100.0 + random.normal(0, 20, label.shape)
        folder = place / ("my" if i < 24 else "scans")
        folder.mkdir(parents=True, exist_ok=True)
        nibabel.save(nibabel.Nifti1Image(image.astype(np.float32), np.eye(4)), folder / f"image{i}.nii.gz")
        if i < 24:
            nibabel.save(nibabel.Nifti1Image(label.astype(np.uint8), np.eye(4)), folder / f"label{i}.nii.gz")
            entries.append({"image": f"image{i}.nii.gz", "label": f"label{i}.nii.gz"})
    (place / "my" / "dataset.json").write_text(json.dumps({"labels": {"0": "background", "1": "ball"},
                                                           "modality": {"0": "MR"}, "training": entries}))
    (place / "nnUNetPlans.json").write_text(json.dumps({
        "dataset_name": "Dataset001_Balls", "plans_name": "nnUNetPlans", "configurations": {"3d_fullres": {
            "patch_size": [64, 64, 64], "normalization_schemes": ["ZScoreNormalization"]}}}))


def test_every_extra_is_pinned() -> None:
    """`make` and `.ci/run` install under the constraints: what is missing there may change from one day to the next."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    asked = {_name(text) for texts in (project["dependencies"], *project["optional-dependencies"].values())
             for text in texts}
    pinned = {_name(line) for line in (ROOT / "constraints.txt").read_text().splitlines() if "==" in line}
    assert asked - {"fdif_dsl"} <= pinned


def _name(requirement: str) -> str:
    return re.split(r"[\[<>=~; ]", requirement)[0].replace("-", "_")


def test_the_citation_names_the_paper_and_the_licence() -> None:
    text = (ROOT / "CITATION.cff").read_text("utf-8")
    assert "cff-version: 1.2.0" in text and "license: Apache-2.0" in text and "arXiv:2603.23199" in text


def test_the_conda_recipe_asks_for_the_same() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    text = (ROOT / "conda" / "recipe.yaml").read_text("utf-8")
    assert f'version: "{project["version"]}"' in text
    names = {"matplotlib": "matplotlib-base", "torch": "pytorch", "zlib-ng": "python-zlib-ng"}  # on conda-forge
    wanted = {"python" + project["requires-python"]}
    for requirement in project["dependencies"]:
        name = re.split("[<>=~]", requirement)[0]
        wanted.add(names.get(name, name) + requirement.removeprefix(name))
    run = text.partition("  run:\n")[2].partition("  run_constraints:")[0]
    assert {line.strip("- ").replace(" ", "") for line in run.splitlines()} == wanted
