"""The library artefact: a folder that holds a compiled library. Loading it compiles nothing.

    manifest.json    format, compiler version, target, checksums, the table of classes
    sources/*.sdf    the text that was compiled, in the canonical layout
    formulas.json    the closed formulas
    fields/*.field   the baked grids of sampled shapes, which need their scans and meshes no more
    cpu/             generated kernels (real Python files) and their object code, with an index
    cpu-x86-64-v3/   the same for a level of CPUs
    cuda-sm_90/      the same for a kind of GPU: PTX and machine code

It holds machine code, so loading an artefact means trusting whoever made it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fdif_dsl.compiler.backends.store.refusal import check_folder, read_file, refusal
from fdif_dsl.compiler.backends.store.store import Built
from fdif_dsl.compiler.fields import stored
from fdif_dsl.compiler.ir import fields
from fdif_dsl.compiler.ir.serial import formulas_from_dict, formulas_hash, formulas_to_dict
from fdif_dsl.compiler.support.scratch import put, scratch_folder
from fdif_dsl.compiler.support.trust import shut
from fdif_dsl.grammar.diagnostics import Diagnostic, FdifError

if TYPE_CHECKING:
    from fdif_dsl.compiler.backends.store.target import Target
    from fdif_dsl.compiler.backends.store.unit import Unit
    from fdif_dsl.compiler.ir.formula import Formula
    from fdif_dsl.compiler.support.progress import Progress

MANIFEST = "manifest.json"
FORMAT = 3


@dataclass(frozen=True)
class Contents:
    """What a folder holds of a library: its formulas, the text of each file by module name, and the targets that it
    is compiled for."""

    formulas: Sequence[Formula]
    sources: Mapping[str, str]
    targets: Sequence[str] = ()

    def named(self, kind: str) -> list[Formula]:
        """The formulas of a kind, in the order of their ids."""
        return [f for f in self.formulas if f.kind == kind]


def save(library: Contents, directory: Path, progress: Progress | None = None,
         targets: Sequence[Target] = ()) -> Built:
    """Compile everything for each target (none given: this machine's CPU) and write the artefact: all of it or nothing.

    An artefact that is there already is replaced; kernels that are the same are taken from it.

    Raises:
        FdifError: where something else is in the way, or a compiler is missing.
        OSError: where the place cannot be written.
    """
    from fdif_dsl.compiler.backends.cpu.target import CPU
    from fdif_dsl.compiler.backends.store import store
    from fdif_dsl.grammar.format import format_source  # the parser is not for those who only load

    if directory.exists() and not (directory / MANIFEST).is_file() and (
            not directory.is_dir() or any(directory.iterdir())):
        raise FdifError(Diagnostic("E0706", f"{directory} holds something else", where=str(directory),
                                   why="only an empty folder or an older compiled library is overwritten",
                                   hint="name another folder"))
    place = directory.resolve()
    with scratch_folder(place) as folder:
        (folder / "sources").mkdir()
        sources = {name: format_source(text, name) for name, text in library.sources.items()}
        for name, text in sources.items():
            (folder / "sources" / f"{name}.sdf").write_text(text, "utf-8")
        formulas = json.dumps(formulas_to_dict(library.formulas)).encode()
        (folder / "formulas.json").write_bytes(formulas)
        held = _write_fields(folder, library.formulas)
        built = [store.save(t, folder / t.name, _units(t, library.formulas), progress, place / t.name)
                 for t in targets or [CPU]]
        manifest = {
            "format": FORMAT, "fdif_dsl": metadata.version("fdif-dsl"), "library": formulas_hash(library.formulas),
            "targets": [target.name for target in targets or [CPU]],
            "formulas": _digest(formulas), "fields": held,
            "sources": {name: _digest(text.encode()) for name, text in sources.items()},
            "classes": [{"id": i, "name": f.name, "doc": f.doc} for i, f in enumerate(library.named("shape"), 1)],
            "displacements": [f.name for f in library.named("displacement")],
            "mappers": [f.name for f in library.named("mapper")],
        }
        (folder / MANIFEST).write_text(json.dumps(manifest, indent=1) + "\n", "utf-8")
        shut(folder)  # whatever the umask: what others could write is not loaded
        folder.chmod(0o755)  # until here it was private
        put(folder, place)
    return Built(sum(b.compiled for b in built), sum(b.reused for b in built))


def _write_fields(folder: Path, formulas: Sequence[Formula]) -> dict[str, str]:
    """Write the fields that formulas read, baking those that are not baked yet; the checksum of each file."""
    keys = dict.fromkeys(key for formula in formulas for key in formula.fields)
    if keys:
        (folder / "fields").mkdir()
    for key in keys:
        stored.write(_place_of(folder, key), fields.baked(key))
    return {key: _digest(_place_of(folder, key).read_bytes()) for key in keys}


def _place_of(folder: Path, key: str) -> Path:
    return folder / "fields" / f"{key}.field"


def _units(target: Target, formulas: Sequence[Formula]) -> list[Unit]:
    """All that a target needs to be compiled."""
    from fdif_dsl.compiler.backends.cpu.target import CpuTarget

    if isinstance(target, CpuTarget):
        from fdif_dsl.compiler.backends.cpu import CpuBackend

        return CpuBackend(formulas).units()
    from fdif_dsl.compiler.backends.cuda.kernels import LibraryKernels
    from fdif_dsl.compiler.backends.cuda.target import CudaTarget, require_compiler

    assert isinstance(target, CudaTarget)
    require_compiler(target)
    return LibraryKernels(formulas).units()


def load(directory: Path) -> Contents:
    """What stands in a folder that `save` wrote.

    Raises:
        FdifError: one clear line where it is damaged, stale, of another version or machine, or open to others.
    """
    check_folder(directory)
    manifest = _manifest(directory)
    try:
        sources = {name: (directory / "sources" / f"{name}.sdf").read_bytes() for name in manifest["sources"]}
        formulas = read_file(directory / "formulas.json")
        digests = {name: _digest(data) for name, data in sources.items()}
        if digests != manifest["sources"]:
            changed = ", ".join(sorted(n for n, d in digests.items() if d != manifest["sources"][n]))
            raise refusal(directory, "E0703", "is older than its sources", f"changed since: {changed}")
        if _digest(formulas) != manifest["formulas"]:
            raise refusal(directory, "E0701", "is damaged", "formulas.json has another checksum")
        found = formulas_from_dict(json.loads(formulas))
        _read_fields(directory, found, manifest["fields"])
        return Contents(found, {n: d.decode() for n, d in sources.items()},
                        tuple(map(str, manifest["targets"])))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
        raise refusal(directory, "E0701", "is damaged", str(error)) from None


def _read_fields(directory: Path, formulas: Sequence[Formula], digests: Mapping[str, str]) -> None:
    """Have the fields that formulas read; raises what reading a damaged file raises."""
    for key in dict.fromkeys(key for formula in formulas for key in formula.fields):
        place = _place_of(directory, key)
        if _digest(place.read_bytes()) != digests[key]:
            raise ValueError(f"the grid {place.name} has another checksum")
        baked = stored.read(place)
        fields.declare(key, partial(replace, baked), baked.origins)


def _manifest(directory: Path) -> dict[str, Any]:
    try:
        manifest = json.loads(read_file(directory / MANIFEST))
        found = manifest["format"], manifest["fdif_dsl"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise refusal(directory, "E0701", "is damaged", f"{MANIFEST}: {error}") from None
    if found != (FORMAT, metadata.version("fdif-dsl")):
        raise refusal(directory, "E0703", f"was made by fdif-dsl {found[1]}",
                       f"this is fdif-dsl {metadata.version('fdif-dsl')}")
    assert isinstance(manifest, dict)
    return manifest


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
