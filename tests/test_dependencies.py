"""Which part may import which, floor by floor: fdif_dsl -> runtime -> compiler -> grammar, and the stages inside of
compiler and runtime. Read from the installed source."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

import fdif_dsl

# The parts, each with those that it may import. `shapes` holds data.
MAY_IMPORT = {
    "grammar": {"grammar"},
    "shapes": set(),
    "compiler": {"grammar", "shapes", "compiler"},
    "runtime": {"grammar", "shapes", "compiler", "runtime"},
    "cli": {"grammar", "shapes", "compiler", "runtime", "cli"},
}
# The stages of a part from the ground up: a stage may import what lies on the floors below its own.
FLOORS = {
    "compiler": [{"support", "ir"}, {"passes", "fields"}, {"frontend", "backends"}, {"library"}],
    "compiler.backends": [{"store"}, {"cpu"}, {"cuda"}],
    "runtime": [{"settings"}, {"recipe"}, {"scenes"}, {"scanner"}, {"streams", "pictures"},
                {"datasets", "training", "bench", "editor"}, {"weights", "play"}, {"finetuning"},
                {"predicting", "fitting"}, {"exports"}],
}
HEAVY = {"torch", "nibabel", "monai", "lightning", "matplotlib", "tensorboard", "torchvision"}


def _folder(part: str) -> Path:
    """Where a part of the installed package lies; in an editable install parts are spread over folders."""
    from importlib.util import find_spec

    spec = find_spec(f"fdif_dsl.{part}")
    assert spec is not None and spec.submodule_search_locations
    return Path(next(iter(spec.submodule_search_locations)))


def _imports(tree: ast.AST, for_types: bool = True) -> Iterator[tuple[str, bool]]:
    """Each module that is imported, and whether that happens when the file itself is (not in a function,
    and not for type checkers only); those for type checkers only are left out on request."""

    def walk(node: ast.AST, at_load: bool) -> Iterator[tuple[str, bool]]:
        if isinstance(node, ast.Import):
            yield from ((alias.name, at_load) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            yield str(node.module), at_load
            if str(node.module).startswith("fdif_dsl"):
                yield from ((f"{node.module}.{alias.name}", at_load) for alias in node.names)
        lazy = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        typing = isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        if typing and not for_types:
            return
        for child in ast.iter_child_nodes(node):
            yield from walk(child, at_load and not lazy and not typing)

    return walk(tree, True)


def _files(part: str) -> list[Path]:
    return sorted(_folder(part).rglob("*.py"))


@cache
def _modules() -> dict[str, Path]:
    """Every module of the parts, by its dotted name below `fdif_dsl`."""
    found = {}
    for part in MAY_IMPORT:
        for file in _files(part):
            inside = file.relative_to(_folder(part)).with_suffix("").parts
            found[".".join((part, *inside)).removesuffix(".__init__")] = file
    return found


def _tree(name: str) -> ast.Module:
    return ast.parse(_modules()[name].read_text(encoding="utf-8"))


@cache
def _arrows() -> dict[str, set[str]]:
    """What each module imports of the others, wherever in the file that stands: an import in a function, or for type
    checkers, is an arrow like any other."""
    modules = _modules()
    arrows: dict[str, set[str]] = {}
    for name in modules:
        arrows[name] = set()
        for node in ast.walk(_tree(name)):
            if isinstance(node, ast.ImportFrom):
                wanted = [f"{node.module}.{alias.name}" for alias in node.names]
            elif isinstance(node, ast.Import):
                wanted = [alias.name for alias in node.names]
            else:
                continue
            for full in wanted:
                inside = full.removeprefix("fdif_dsl.")
                found = next((one for one in (inside, inside.rpartition(".")[0]) if one in modules), None)
                if full.startswith("fdif_dsl.") and found not in (None, name):
                    arrows[name].add(str(found))
    return arrows


@pytest.mark.parametrize("part", MAY_IMPORT)
def test_dependencies_point_one_way(part: str) -> None:
    wrong = []
    for file in _files(part):
        for name, _ in _imports(ast.parse(file.read_text(encoding="utf-8"))):
            parts = name.split(".")
            if parts[0] == "fdif_dsl" and (len(parts) < 2 or parts[1] not in MAY_IMPORT[part]):
                wrong.append(f"{file.name}: {name}")
    assert _files(part) and not wrong


def test_nothing_imports_itself_round_a_circle() -> None:
    # Take away what imports nothing that is left, again and again: what remains is a circle, or leads into one.
    left = {name: set(targets) for name, targets in _arrows().items()}
    while free := [name for name, targets in left.items() if not targets & left.keys()]:
        for name in free:
            del left[name]
    assert sum(map(len, _arrows().values())) > 500 and left == {}


@pytest.mark.parametrize("part", FLOORS)
def test_arrows_between_stages_run_down(part: str) -> None:
    floors = {stage: i for i, floor in enumerate(FLOORS[part]) for stage in floor}
    depth = part.count(".") + 1

    def stage(name: str) -> str:
        return name.split(".")[depth] if name.startswith(f"{part}.") else ""

    pairs = {(stage(a), stage(b)) for a, targets in _arrows().items() for b in targets}
    wrong = {(a, b) for a, b in pairs if a in floors and b in floors and a != b and floors[a] <= floors[b]}
    assert wrong == set() and len(pairs) > 3


@pytest.mark.parametrize("part", ["compiler", "runtime"])
def test_no_module_lies_loose_beside_the_stages(part: str) -> None:
    stages = set().union(*FLOORS[part])
    assert {path.name for path in _folder(part).iterdir() if path.name != "__pycache__"} == {"__init__.py", *stages}


@cache
def _loaded(name: str) -> frozenset[str]:
    """The packages of others that come with a module at once."""
    imports = {wanted for wanted, at_load in _imports(_tree(name)) if at_load}
    modules = {wanted.removeprefix("fdif_dsl.") for wanted in imports} & _arrows()[name]
    return frozenset({wanted.partition(".")[0] for wanted in imports}.union(*map(_loaded, modules)))


def test_a_command_begins_with_what_every_installation_has() -> None:
    # What an extra brings is loaded after `require`, which says how to get it, and mends a torchvision on the way.
    extra = {"lightning", "monai", "timm", "tensorboard", "torchvision", "safetensors", "dynamic_network_architectures"}
    commands = [name for name in _modules() if name.startswith("cli.")]
    wrong = {(name, inside): found for name in commands for wanted, _ in _imports(_tree(name), for_types=False)
             if (inside := wanted.removeprefix("fdif_dsl.")) in _arrows()[name] and (found := _loaded(inside) & extra)}
    assert len(commands) > 10 and wrong == {}


@pytest.mark.parametrize("part", ["grammar", "compiler"])
def test_grammar_and_compiler_load_nothing_heavy(part: str) -> None:
    wrong = [
        f"{file.name}: {name}" for file in _files(part)
        for name, at_load in _imports(ast.parse(file.read_text(encoding="utf-8")))
        if name.partition(".")[0] in HEAVY and at_load]
    assert not wrong


def test_only_the_torch_backend_of_the_compiler_knows_torch() -> None:
    users = {file.name for file in _files("compiler")
             for name, _ in _imports(ast.parse(file.read_text(encoding="utf-8"))) if name.partition(".")[0] in HEAVY}
    assert users <= {"torch.py", "gradients.py", "inputs.py"}


def test_no_python_file_names_a_class() -> None:
    lib = fdif_dsl.load_library()
    # Single words such as `sphere` may stand in prose; as a string on its own none may.
    names = {*lib.shapes, *lib.displacements, *lib.mappers}
    wrong = [
        f"{file.name}:{node.lineno}: {node.value}" for part in MAY_IMPORT for file in _files(part)
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value in names]
    assert not wrong


def test_importing_the_package_is_light(tmp_path: Path) -> None:
    code = "import sys, fdif_dsl; print(sorted({m.partition('.')[0] for m in sys.modules}))"
    loaded = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    heavy = HEAVY | {"numba", "lark", "numpy", "rich", "click"}
    assert not heavy & set(ast.literal_eval(loaded.stdout))


def test_importing_the_package_takes_no_longer_than_twice_numpy(tmp_path: Path) -> None:
    # numpy takes about 0.1 s, and the package is to stay under 0.3 s. A ratio holds on a slow or busy machine too.
    def seconds(module: str) -> float:
        code = f"import time; t = time.perf_counter(); import {module}; print(time.perf_counter() - t)"
        run = [sys.executable, "-c", code]
        return min(float(subprocess.run(run, cwd=tmp_path, capture_output=True, text=True, check=True).stdout)
                   for _ in range(5))

    assert seconds("fdif_dsl") < 2 * seconds("numpy")
