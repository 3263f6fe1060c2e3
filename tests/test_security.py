"""What SECURITY.md says of the code: where files become Python objects, where text is run, where modules are named."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import fdif_dsl

ROOT = Path(__file__).parents[1]
FOLDERS = ("fdif_dsl", "grammar", "compiler", "runtime", "shapes")

# Each dangerous call, and the modules that may make it.
ALLOWED = {
    "exec": {"compiler/backends/cpu/build.py", "compiler/backends/cuda/build.py"},  # kernels that were generated here
    "pickle.loads": {"compiler/backends/store/worker.py"},  # from the process that started it
    "import_module": {
        "runtime/training/own_network.py",  # a network of the user's own
        "runtime/training/extra.py", "fdif_dsl/cli/__init__.py", "importlib: fdif_dsl/__init__.py"},  # our own names
}
FORBIDDEN = ("eval", "pickle.load", "pickle.Unpickler", "marshal.loads", "yaml.load", "os.system", "joblib.load",
             "torch.hub.load", "urllib.request.urlopen", "requests.get", "socket.socket")


def calls() -> Iterator[tuple[str, str, ast.Call]]:
    """Each call in the package: the file, what is called as it is written, and the call."""
    for folder in FOLDERS:
        for path in sorted((ROOT / folder).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text("utf-8"))):
                if isinstance(node, ast.Call):
                    yield path.relative_to(ROOT).as_posix(), ast.unparse(node.func), node


CALLS = list(calls())


def keyword(call: ast.Call, name: str) -> object:
    """A constant that is given by name; None where it is not given, and "?" where it is computed."""
    values = [k.value for k in call.keywords if k.arg == name]
    return None if not values else values[0].value if isinstance(values[0], ast.Constant) else "?"


def test_weights_are_loaded_as_data() -> None:
    loads = [(file, call) for file, name, call in CALLS if name == "torch.load"]
    assert len(loads) >= 4
    assert [file for file, call in loads if keyword(call, "weights_only") is not True] == []
    resumes = [call for _, _, call in CALLS if any(k.arg == "ckpt_path" for k in call.keywords)]
    assert resumes and all(keyword(call, "weights_only") is True for call in resumes)


def test_arrays_are_loaded_without_pickle() -> None:
    assert [file for file, _, call in CALLS if keyword(call, "allow_pickle") not in (None, False)] == []


@pytest.mark.parametrize("name", FORBIDDEN)
def test_never_called(name: str) -> None:
    assert [file for file, called, _ in CALLS if called == name] == []


@pytest.mark.parametrize("name", ["exec", "pickle.loads", "import_module"])
def test_called_where_it_is_said(name: str) -> None:
    found = {("importlib: " if called.startswith("importlib.") else "") + file
             for file, called, _ in CALLS if called in (name, f"importlib.{name}")}
    assert found == ALLOWED[name]


def test_use_cannot_leave_its_folder(tmp_path: Path) -> None:
    (tmp_path / "inside").mkdir()
    (tmp_path / "secret.sdf").write_text("fn secret() = 1\n")
    for name in ("../secret", '"../secret"', "/etc/passwd", "..secret"):
        file = tmp_path / "inside" / "main.sdf"
        file.write_text(f"use {name}\nshape a {{ distance = length(p) - 1 }}\n")
        with pytest.raises(fdif_dsl.FdifError):
            fdif_dsl.load_library(file)


def test_no_text_of_a_file_is_in_the_code(tmp_path: Path) -> None:
    from fdif_dsl.compiler.backends.cpu import CpuBackend

    file = tmp_path / "marked.sdf"
    file.write_text("## markerdoc\nfn markerfn(x) = x * 2\n"
                    "shape markershape {\n  ## markerline\n  markername ~ uniform(1, 2)\n"
                    "  distance = length(p) - markerfn(markername)\n}\n"
                    "mapper \"markermapper-1.0\" { intensity = abs(d) }\n")
    units = CpuBackend(fdif_dsl.load_library(file).formulas).units()
    assert units and not any("marker" in unit.source for unit in units)
