"""Meshes of STL, OBJ and PLY files, text or binary.

Read here and not with a library: a header may say anything, and memory is taken for what is there.
"""

from __future__ import annotations

import io
import re
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np

from fdif_dsl.compiler.fields.problems import damaged, problem, too_large

MOST_TRIANGLES = 5_000_000
MOST_BYTES = 1 << 30
_PLY = {"char": "i1", "int8": "i1", "uchar": "u1", "uint8": "u1", "short": "i2", "int16": "i2", "ushort": "u2",
        "uint16": "u2", "int": "i4", "int32": "i4", "uint": "u4", "uint32": "u4", "float": "f4", "float32": "f4",
        "double": "f8", "float64": "f8"}
_ORDERS = {"ascii": "", "binary_little_endian": "<", "binary_big_endian": ">"}
_FEWER = "make it coarser first, for example with the decimation of MeshLab or Blender"


class Mesh(NamedTuple):
    """Vertices (n, 3) and triangles (m, 3), which are numbers of vertices."""

    vertices: np.ndarray
    triangles: np.ndarray


def read_mesh(path: Path, where: str) -> Mesh:
    """The mesh of a file, whose ending says its format.

    Raises:
        FdifError: it is damaged or too large, or has no triangle.
    """
    try:
        if path.stat().st_size > MOST_BYTES:
            raise too_large(where, f"it has {path.stat().st_size} bytes, and {MOST_BYTES} are read at most", _FEWER)
        data = path.read_bytes()
        mesh = {".stl": _stl, ".obj": _obj, ".ply": _ply}[path.suffix.lower()](data, where)
    except (OSError, ValueError, IndexError, OverflowError) as error:
        raise damaged(where, str(error)) from None
    return checked(mesh, where)


def checked(mesh: Mesh, where: str) -> Mesh:
    """The mesh without what is no triangle, or part of none.

    Raises:
        FdifError: nothing is left, or a vertex is not finite, or there are too many triangles.
    """
    vertices, triangles = mesh
    if len(triangles) > MOST_TRIANGLES:
        raise too_large(where, f"it has {len(triangles)} triangles, and {MOST_TRIANGLES} are read at most", _FEWER)
    if len(triangles) and (triangles.min() < 0 or triangles.max() >= len(vertices)):
        raise damaged(where, "a triangle names a vertex that is not there")
    used = vertices[np.unique(triangles)]
    if not np.isfinite(used).all() or (len(used) and np.abs(used).max() > 1e12):
        raise problem("E0325", where, "a vertex of the mesh is no point",
                      "a coordinate is NaN, infinite or beyond 1e12",
                      "repair the mesh where it was made, and write it again")
    corners = vertices[triangles]
    flat = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    solid = np.einsum("ij,ij->i", flat, flat) > 0
    if not solid.any():
        raise problem("E0326", where, "the mesh has no triangle",
                      "all its triangles are without area" if len(triangles) else "points alone have no inside",
                      "name a file with a surface")
    used, triangles = np.unique(triangles[solid], return_inverse=True)
    return Mesh(vertices[used], triangles.reshape(-1, 3))


def _stl(data: bytes, where: str) -> Mesh:
    count = int.from_bytes(data[80:84], "little")
    record = np.dtype([("normal", "<f4", 3), ("corners", "<f4", (3, 3)), ("more", "<u2")])
    if len(data) >= 84 and len(data) == 84 + count * record.itemsize:
        corners = np.frombuffer(data, record, offset=84)["corners"].reshape(-1, 3)
    elif data[:5].lower() == b"solid" and b"facet" in data[:4096]:
        words = re.findall(rb"vertex\s+(\S+)\s+(\S+)\s+(\S+)", data)
        corners = np.array(words, "S32").astype(np.float64).reshape(-1, 3)
    else:
        room = (len(data) - 84) // record.itemsize
        raise ValueError(f"its header speaks of {count} triangles, and there is room for {max(0, room)}"
                         if len(data) >= 84 else "it ends before its header does")
    if len(corners) % 3:
        raise ValueError("it ends in the middle of a triangle")
    return Mesh(corners.astype(np.float64), np.arange(len(corners)).reshape(-1, 3))


def _obj(data: bytes, where: str) -> Mesh:
    vertices, triangles = [], []
    for line in io.BytesIO(data):
        word, *rest = line.split() or [b""]
        if word == b"v":
            vertices.append([float(v) for v in rest[:3]])
        elif word == b"f":
            face = [int(v.partition(b"/")[0]) for v in rest]
            face = [v - 1 if v > 0 else len(vertices) + v for v in face]
            triangles += [[face[0], a, b] for a, b in pairwise(face[1:])]
            if len(triangles) > MOST_TRIANGLES:
                break
    return Mesh(np.array(vertices, np.float64).reshape(-1, 3), np.array(triangles, np.int64).reshape(-1, 3))


class _Element(NamedTuple):
    """A kind of record of a PLY file: how many there are, and its properties: name, kind, and the kind of the count
    where it is a list."""

    name: str
    records: int
    properties: list[tuple[str, str, str]]


def _ply(data: bytes, where: str) -> Mesh:
    head, mark, body = data.partition(b"end_header")
    if not data.startswith(b"ply") or not mark:
        raise ValueError("it does not begin as a PLY file does")
    body = body.partition(b"\n")[2]
    layout, elements = "", list[_Element]()
    for line in head.decode("latin1").splitlines():
        words = line.split()
        if words[:1] == ["format"]:
            layout = words[1]
        elif words[:1] == ["element"]:
            elements.append(_Element(words[1], int(words[2]), []))
        elif words[:2] == ["property", "list"]:
            elements[-1].properties.append((words[4], _kind(words[3]), _kind(words[2])))
        elif words[:1] == ["property"]:
            elements[-1].properties.append((words[2], _kind(words[1]), ""))
    if any(not 0 <= element.records <= len(body) for element in elements):
        raise ValueError("its header speaks of more than there is in the file")
    if layout not in _ORDERS:
        raise ValueError(f"its format is {layout or 'not said'}")
    vertices, triangles = np.zeros((0, 3)), np.zeros((0, 3), np.int64)
    records = _text(body, elements) if layout == "ascii" else _binary(body, elements, _ORDERS[layout])
    for element, columns in zip(elements, records, strict=True):
        if element.name == "vertex":
            vertices = np.stack([np.asarray(columns[axis], np.float64) for axis in "xyz"], axis=1)
        elif element.name == "face":
            faces = columns.get("vertex_indices", columns.get("vertex_index", []))
            triangles = _fans(faces)
    return Mesh(vertices, triangles)


def _kind(word: str) -> str:
    if word not in _PLY:
        raise ValueError(f"a property is of the unknown kind {word[:20]}")
    return _PLY[word]


def _fans(faces: object) -> np.ndarray:
    """Polygons as triangles around their first corner."""
    if isinstance(faces, np.ndarray):  # all of one length
        pairs = [faces[:, [0, k, k + 1]] for k in range(1, faces.shape[1] - 1)]
        return np.concatenate(pairs).astype(np.int64) if pairs else np.zeros((0, 3), np.int64)
    found = [[face[0], a, b] for face in faces for a, b in pairwise(face[1:])]  # type: ignore[attr-defined]
    return np.array(found, np.int64).reshape(-1, 3)


def _text(body: bytes, elements: list[_Element]) -> list[dict[str, object]]:
    lines = iter(body.splitlines())
    out: list[dict[str, object]] = []
    for element in elements:
        columns: dict[str, list[object]] = {name: [] for name, _, _ in element.properties}
        for _ in range(element.records):
            line = next(lines, None)
            if line is None:
                raise ValueError("it ends before its last line")
            words = line.split()
            for name, _, counted in element.properties:
                if counted:
                    count = int(words[0])
                    columns[name].append([int(float(w)) for w in words[1 : count + 1]])
                    words = words[count + 1 :]
                else:
                    columns[name].append(float(words.pop(0)))
        out.append(dict(columns))
    return out


def _binary(body: bytes, elements: list[_Element], order: str) -> list[dict[str, object]]:
    out: list[dict[str, object]] = []
    at = 0
    for element in elements:
        lists = [p for p in element.properties if p[2]]
        fields: list[tuple[object, ...]] = []
        for name, kind, counted in element.properties:
            if counted:  # all are as long as the first, or they are read one by one
                count = _number(body, at + np.dtype(fields).itemsize, order + counted)
                fields += [(f"{name} count", order + counted), (name, order + kind, (count,))]
            else:
                fields.append((name, order + kind))
        record = np.dtype(fields)
        if at + element.records * record.itemsize <= len(body):
            rows = np.frombuffer(body, record, element.records, at)
            if all((rows[f"{name} count"] == rows[name].shape[1]).all() for name, _, _ in lists):
                out.append({name: rows[name] for name, _, _ in element.properties})
                at += element.records * record.itemsize
                continue
        if not lists:
            raise ValueError("it ends before its last record")
        columns, at = _one_by_one(body, at, element, order)
        out.append(columns)
    return out


def _one_by_one(body: bytes, at: int, element: _Element, order: str) -> tuple[dict[str, object], int]:
    columns: dict[str, list[object]] = {name: [] for name, _, _ in element.properties}
    for _ in range(element.records):
        for name, kind, counted in element.properties:
            count = 1
            if counted:
                count = _number(body, at, order + counted)
                at += np.dtype(counted).itemsize
            size = count * np.dtype(kind).itemsize
            if count < 0 or at + size > len(body):
                raise ValueError("it ends before its last record")
            values = np.frombuffer(body, order + kind, count, at).tolist()
            columns[name].append(values if counted else values[0])
            at += size
    return dict(columns), at


def _number(body: bytes, at: int, kind: str) -> int:
    size = np.dtype(kind).itemsize
    if at + size > len(body):
        raise ValueError("it ends before its last record")
    count = int(np.frombuffer(body, kind, 1, at)[0])
    if not 0 <= count <= 1 << 16:
        raise ValueError(f"a face has {count} corners")
    return count
