"""MedShapeNetCore's bundles: an `.npz` whose one array `data` is a dictionary.

    {"mask": (samples, x, y, z), "mesh": {"vertices": [...], "faces": [...]}, "point": ...}     one organ
    {"liver": {"mask": ..., "mesh": ...}, "spleen": ...}                                        several

The dictionary is pickled. A pickle may call anything; here it may make arrays and dictionaries, and nothing else.
"""

from __future__ import annotations

import pickle
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any, ClassVar

import numpy as np

from fdif_dsl.compiler.fields.meshes import Mesh, checked
from fdif_dsl.compiler.fields.problems import damaged, problem, too_large
from fdif_dsl.compiler.fields.surface import surface_of
from fdif_dsl.grammar.diagnostics import did_you_mean

MOST_BYTES = 1 << 32


class Bundle:
    """The samples of one organ of a bundle, in order."""

    def __init__(self, path: Path, where: str, organ: str) -> None:
        """Reads the file, of which every organ is one whole; without a name there must be one.

        Raises:
            FdifError: it is damaged or too large, or has no such organ.
        """
        self._where = where
        try:
            data = _read(path, where)
        except (OSError, EOFError, ValueError, KeyError, TypeError, IndexError, AttributeError, MemoryError, zlib.error,
                zipfile.BadZipFile, pickle.UnpicklingError) as error:
            raise damaged(where, str(error)) from None
        self._parts = _organ(data, where, organ)
        meshes = self._parts.get("mesh")
        self._meshes = meshes if isinstance(meshes, Mapping) and {"vertices", "faces"} <= meshes.keys() else None
        self._masks = self._parts.get("mask")
        found = self._masks if self._meshes is None else self._meshes["vertices"]
        if not isinstance(found, np.ndarray | Mapping | Sequence) or not len(found):
            raise damaged(where, "it holds neither meshes nor masks")
        self._keys = list(found) if isinstance(found, Mapping) else list(range(len(found)))

    def __len__(self) -> int:
        return len(self._keys)

    def mesh(self, k: int) -> Mesh:
        """Sample k as a mesh.

        Raises:
            FdifError: there is none in it.
        """
        key, where = self._keys[k], f"{self._where}: sample {k}"
        try:
            if self._meshes is None:
                assert self._masks is not None
                mask = np.asarray(self._masks[key])
                if mask.ndim != 3 or not mask.any():
                    raise problem("E0323", where, "the mask is empty", "it has no voxel that is not 0",
                                  "leave this organ out")
                return Mesh(*surface_of(mask != 0))
            vertices = np.asarray(self._meshes["vertices"][key], np.float64).reshape(-1, 3)
            triangles = np.asarray(self._meshes["faces"][key]).astype(np.int64).reshape(-1, 3)
        except (ValueError, TypeError, KeyError, IndexError) as error:
            raise damaged(where, str(error)) from None
        return checked(Mesh(vertices, triangles), where)


def _read(path: Path, where: str) -> Mapping[Any, Any]:
    with zipfile.ZipFile(path) as archive:
        member = archive.getinfo("data.npy")
        if member.file_size > MOST_BYTES:
            raise too_large(where, f"it has {member.file_size} bytes unpacked, and {MOST_BYTES} are read at most",
                            "write the organ that is meant into a file of its own")
        with archive.open(member) as file:
            version = np.lib.format.read_magic(file)
            reader = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
            shape, _, kind = reader(file)
            if kind != np.dtype(object):
                raise ValueError("its array `data` is no dictionary")
            found = _Reader(file).load()
    found = found.item() if isinstance(found, np.ndarray) and shape == () else found
    if not isinstance(found, Mapping):
        raise ValueError("its array `data` is no dictionary")
    return found


def _organ(data: Mapping[Any, Any], where: str, organ: str) -> Mapping[Any, Any]:
    """What a bundle holds of an organ."""
    organs = {str(name): part for name, part in data.items()
              if isinstance(part, Mapping) and part.keys() & {"mask", "mesh"}}
    if not organs and not organ:
        return data
    if organ in organs:
        return organs[organ]
    if not organ and len(organs) == 1:
        return next(iter(organs.values()))
    names = ", ".join(sorted(organs)) or "one organ, without a name"
    raise problem("E0328", where, f"the bundle has no organ {organ!r}" if organ else "the bundle holds several organs",
                  f"it has {names}", did_you_mean(organ, organs) or (
                      f'name one: organ = "{sorted(organs)[0]}"' if organs else "leave `organ` out"))


def _empty_array(*_: Any) -> np.ndarray:
    return np.ndarray.__new__(np.ndarray, (0,), "b")


def _latin(text: str, _: str) -> bytes:
    return text.encode("latin1")


class _Reader(pickle.Unpickler):
    """Reads arrays, numbers and dictionaries."""

    _ALLOWED: ClassVar[dict[tuple[str, str], Any]] = {
        ("multiarray", "_reconstruct"): _empty_array, ("multiarray", "scalar"): np.float64(0).__reduce__()[0],
        ("numeric", "_frombuffer"): np.zeros(1).__reduce_ex__(5)[0], ("numpy", "ndarray"): np.ndarray,
        ("numpy", "dtype"): np.dtype, ("_codecs", "encode"): _latin, ("collections", "OrderedDict"): dict,
        ("builtins", "dict"): dict, ("MedShapeNetCore", "MyDict"): dict, ("__main__", "MyDict"): dict}

    def __init__(self, file: IO[bytes]) -> None:
        super().__init__(file)

    def find_class(self, module: str, name: str) -> Any:
        root, last = module.partition(".")[0], module.rpartition(".")[2]
        found = self._ALLOWED.get((last, name))
        if found is None or root not in ("numpy", "_codecs", "collections", "builtins", "MedShapeNetCore", "__main__"):
            raise pickle.UnpicklingError(f"it wants to call {module}.{name}, which no bundle needs")
        return found
