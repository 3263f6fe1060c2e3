"""What SECURITY.md says of the code: where files become Python objects, where text is run, where modules are named."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import fdif_dsl

ROOT = Path(__file__).parents[1]
FOLDERS = ("fdif_dsl", "grammar", "compiler", "runtime", "shapes")

# What makes code or objects of text, or starts programs; by full name, however it was imported.
DANGEROUS = frozenset({
    "exec", "eval", "compile", "__import__", "importlib.import_module", "importlib.__import__", "runpy.run_path",
    "runpy.run_module", "code.interact", "builtins.exec", "builtins.eval", "builtins.compile",
    *(f"{module}.{name}" for module in ("pickle", "cPickle", "dill", "cloudpickle", "marshal", "joblib", "shelve")
      for name in ("load", "loads", "Unpickler", "open")),
    "yaml.load", "yaml.unsafe_load", "torch.hub.load", "torch.jit.load", "torch.package.PackageImporter",
    "numpy.load", "torch.load", "ctypes.CDLL", "ctypes.cdll.LoadLibrary",
    "os.system", "os.popen", "os.execv", "os.execve", "os.execvp", "os.spawnv", "os.posix_spawn", "pty.spawn",
    "subprocess.run", "subprocess.call", "subprocess.check_call", "subprocess.check_output", "subprocess.Popen",
    "subprocess.getoutput", "subprocess.getstatusoutput", "asyncio.create_subprocess_exec",
    "asyncio.create_subprocess_shell", "urllib.request.urlopen", "requests.get", "requests.post", "socket.socket",
})
KERNELS = "the text of a kernel, made here of a closed formula and written a moment ago into a folder closed to others"
OUR_OWN = "names of the package's own modules"
SELF = "this Python and this package, as a list of arguments and never by a shell"
ALLOWED = {  # where, and why it is fine
    ("compiler/backends/cpu/build.py", "exec"): KERNELS,
    ("compiler/backends/cpu/build.py", "compile"): KERNELS,
    ("compiler/backends/cuda/build.py", "exec"): KERNELS,
    ("compiler/backends/cuda/build.py", "compile"): KERNELS,
    ("compiler/backends/store/worker.py", "pickle.loads"): "a target, from the process that started this one",
    ("compiler/backends/store/workers.py", "subprocess.Popen"): SELF,
    ("fdif_dsl/__init__.py", "importlib.import_module"): OUR_OWN,
    ("fdif_dsl/cli/__init__.py", "importlib.import_module"): OUR_OWN,
    ("runtime/training/extra.py", "importlib.import_module"): "names of packages that stand in this code",
    ("runtime/training/own_network.py", "importlib.import_module"): "a network that the user names; see SECURITY.md",
    ("runtime/bench/fresh.py", "subprocess.Popen"): SELF,
    ("runtime/editor/server.py", "asyncio.create_subprocess_exec"): SELF,
    ("runtime/play/serve.py", "socket.socket"): "where `fdifc play` listens; see SECURITY.md",
    ("compiler/fields/bundles.py", "pickle.Unpickler"): "its `find_class` allows arrays and plain values alone",
    ("runtime/finetuning/data/medmnist.py", "numpy.load"): "with allow_pickle=False",
    ("runtime/finetuning/data/cache.py", "numpy.load"): "NumPy refuses pickle unless it is asked for",
}
WEIGHTS_ONLY = "torch.load"  # allowed wherever it says weights_only=True


def names_of(tree: ast.AST) -> dict[str, str]:
    """What each imported name stands for: `load` for `pickle.load` after `from pickle import load`."""
    names = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {a.asname or a.name.partition(".")[0]: a.name if a.asname else a.name.partition(".")[0]
                      for a in node.names}
        elif isinstance(node, ast.ImportFrom):
            names |= {a.asname or a.name: f"{node.module}.{a.name}" for a in node.names}
    return names


def written(node: ast.AST) -> str:
    """`a.b.c`, of a name and what is reached by points from it; what else stands at the start is left out."""
    if isinstance(node, ast.Attribute):
        return f"{written(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""


def full(node: ast.AST, names: dict[str, str]) -> str:
    first, dot, rest = written(node).partition(".")
    return names.get(first, first) + dot + rest


def mentions(tree: ast.AST) -> list[str]:
    """The full names of all that is spoken of, called or handed on."""
    names = names_of(tree)
    return [full(node, names) for node in ast.walk(tree)
            if isinstance(node, ast.Name | ast.Attribute) and isinstance(node.ctx, ast.Load)]


TREES = {path.relative_to(ROOT).as_posix(): ast.parse(path.read_text("utf-8"))
         for folder in FOLDERS for path in sorted((ROOT / folder).rglob("*.py"))}


def calls() -> Iterator[tuple[str, str, ast.Call]]:
    """Each call in the package: the file, the full name of what is called, and the call."""
    for file, tree in TREES.items():
        names = names_of(tree)
        for node in ast.walk(tree):
            if isinstance(node, ast.Call):
                yield file, full(node.func, names), node


CALLS = list(calls())
MENTIONS = {file: mentions(tree) for file, tree in TREES.items()}


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


def test_nothing_dangerous_but_what_is_said_here() -> None:
    found = {(file, name) for file, names in MENTIONS.items() for name in names if name in DANGEROUS}
    assert {one for one in found if one[1] != WEIGHTS_ONLY} == ALLOWED.keys()
    assert [file for file, name, _ in CALLS if name == WEIGHTS_ONLY] != []


@pytest.mark.parametrize(("text", "name"), [
    ("import os\nos.system(x)", "os.system"), ("from os import system as s\ns(x)", "os.system"),
    ("import pickle as p\nf = p.loads", "pickle.loads"), ("map(eval, x)", "eval"),
    ("from importlib import import_module\nimport_module(x)", "importlib.import_module"),
    ("import numpy as np\nnp.load(x)", "numpy.load")])
def test_the_walk_sees_through_imports(text: str, name: str) -> None:
    assert name in set(mentions(ast.parse(text))) & DANGEROUS


def test_a_torch_load_is_always_called_by_its_name() -> None:
    """So that the one above that asks for weights_only sees each of them."""
    called = [file for file, name, _ in CALLS if name == WEIGHTS_ONLY]
    assert {file: names.count(WEIGHTS_ONLY) for file, names in MENTIONS.items() if WEIGHTS_ONLY in names} == {
        file: called.count(file) for file in called}


def test_no_shell() -> None:
    assert [file for file, _, call in CALLS if keyword(call, "shell") is not None] == []


def test_use_cannot_leave_its_folder(tmp_path: Path) -> None:
    (tmp_path / "inside").mkdir()
    (tmp_path / "secret.sdf").write_text("fn secret() = 1\n")
    for name in ("../secret", '"../secret"', "/etc/passwd", "..secret"):
        file = tmp_path / "inside" / "main.sdf"
        file.write_text(f"use {name}\nshape a {{ distance = length(p) - 1 }}\n")
        with pytest.raises(fdif_dsl.FdifError):
            fdif_dsl.load_library(file)


def test_one_module_listens_and_one_is_its_guard() -> None:
    """The playground's server is the only one, and all that it answers goes through its guard."""
    listening = {file for file, name, _ in CALLS if name in ("socket.socket", "uvicorn.Server", "uvicorn.run",
                                                             "socketserver.TCPServer", "http.server.HTTPServer")}
    assert listening == {"runtime/play/serve.py"}
    made = [file for file, name, _ in CALLS if name.endswith("Starlette")]
    assert made == ["runtime/play/app.py"]
    app = next(node for node in ast.walk(TREES["runtime/play/app.py"])
               if isinstance(node, ast.FunctionDef) and node.name == "make_app")
    (answer,) = [node.value for node in app.body if isinstance(node, ast.Return)]
    assert isinstance(answer, ast.Call) and written(answer.func) == "Guard"


def test_no_text_of_a_file_is_in_the_code(tmp_path: Path) -> None:
    from fdif_dsl.compiler.backends.cpu import CpuBackend

    file = tmp_path / "marked.sdf"
    file.write_text("## markerdoc\nfn markerfn(x) = x * 2\n"
                    "shape markershape {\n  ## markerline\n  markername ~ uniform(1, 2)\n"
                    "  distance = length(p) - markerfn(markername)\n}\n"
                    "mapper \"markermapper-1.0\" { intensity = abs(d) }\n")
    units = CpuBackend(fdif_dsl.load_library(file).formulas).units()
    assert units and not any("marker" in unit.source for unit in units)
