"""What no field can be made of is refused with one message, and nothing half-baked stays."""

from __future__ import annotations

import gzip
import io
import os
import pickle
import re
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from fdif_dsl.compiler.fields.bake import bake
from fdif_dsl.compiler.fields.sources import Request, find
from fdif_dsl.grammar.diagnostics import FdifError

CORNERS = np.array([[0, 0, 0], [8, 0, 0], [0, 8, 0], [0, 0, 8]], float)
TETRAHEDRON = np.array([[0, 2, 1], [0, 1, 3], [0, 3, 2], [1, 2, 3]])


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FDIF_CACHE_DIR", str(tmp_path / "cache"))


def nifti(sides: tuple[int, int, int] = (6, 6, 6), kind: int = 2, data: bytes | None = None,
          dims: int = 3, more: int = 1, step: float = 1.0) -> bytes:
    mask = np.zeros((6, 6, 6), np.uint8)
    mask[1:5, 1:5, 1:5] = 3
    head = bytearray(348)
    struct.pack_into("<i", head, 0, 348)
    struct.pack_into("<8h", head, 40, dims, *sides, more, 1, 1, 1)
    struct.pack_into("<h", head, 70, kind)
    struct.pack_into("<8f", head, 76, 1, step, step, step, 1, 1, 1, 1)
    struct.pack_into("<f", head, 108, 352)
    head[344:348] = b"n+1\0"
    return bytes(head) + bytes(4) + (mask.tobytes() if data is None else data)


def stl(corners: np.ndarray, count: int | None = None) -> bytes:
    record = np.zeros(len(corners), [("normal", "<f4", 3), ("corners", "<f4", (3, 3)), ("more", "<u2")])
    record["corners"] = corners
    return bytes(80) + struct.pack("<I", len(corners) if count is None else count) + record.tobytes()


def ply(head: str, body: bytes = b"") -> bytes:
    return f"ply\n{head}\nend_header\n".encode() + body


def bundle(data: object) -> bytes:
    out = io.BytesIO()
    np.savez(out, data=np.array(data, object))
    return out.getvalue()


class Harmful:
    def __reduce__(self) -> tuple[Callable[[str], int], tuple[str]]:
        return os.system, ("touch harmed",)


SOLID = CORNERS[TETRAHEDRON]
BROKEN = SOLID.copy()
BROKEN[1, 1, 1] = np.nan

BAD: dict[str, tuple[str, bytes, dict[str, object], str, str]] = {
    "a cut mask": ("a.nii", nifti()[:-30], {}, "E0321", "ends before its last voxel"),
    "a cut packed mask": ("a.nii.gz", gzip.compress(nifti())[:-20], {}, "E0321", ""),
    "no mask": ("a.nii", b"hello" * 100, {}, "E0321", "does not begin"),
    "a mask without the label": ("a.nii", nifti(), {"label": 5}, "E0323", "no label 5"),
    "an empty mask": ("a.nii", nifti(data=bytes(216)), {}, "E0323", "empty"),
    "a mask of four axes": ("a.nii", nifti(dims=4, more=3), {}, "E0324", "more than three axes"),
    "a mask of colours": ("a.nii", nifti(kind=128), {}, "E0324", "kind that is not read"),
    "a mask without spacing": ("a.nii", nifti(step=0.0), {}, "E0324", "where its voxels lie"),
    "an enormous mask": ("a.nii", nifti(sides=(30000, 30000, 30000)), {}, "E0322", "30000 x 30000 x 30000"),
    "a cut mesh": ("a.stl", stl(SOLID)[:-9], {}, "E0321", "there is room for 3"),
    "a mesh that lies about its size": ("a.stl", stl(SOLID, 10**9), {}, "E0321", "1000000000"),
    "a mesh with NaN": ("a.stl", stl(BROKEN), {}, "E0325", "NaN"),
    "a mesh without a triangle": ("a.stl", stl(SOLID[:0]), {}, "E0326", "no triangle"),
    "a mesh of lines": ("a.stl", stl(np.repeat(SOLID[:, :1], 3, axis=1)), {}, "E0326", "without area"),
    "a flat mesh": ("a.stl", stl(SOLID[:1]), {}, "E0327", "no inside"),
    "a mesh that lies over itself": ("a.stl", stl(np.repeat(SOLID, 60000, axis=0)), {}, "E0322", "over each other"),
    "an OBJ that names what is not there": ("a.obj", b"v 0 0 0\nv 1 0 0\nf 1 2 7\n", {}, "E0321", "not there"),
    "an OBJ of words": ("a.obj", b"v one two three\n", {}, "E0321", ""),
    "a PLY that lies about its size": (
        "a.ply", ply("format binary_little_endian 1.0\nelement vertex 1000000000\nproperty float x"), {}, "E0321",
        "more than there is"),
    "a PLY whose faces have a billion corners": (
        "a.ply", ply("format binary_little_endian 1.0\nelement face 1\nproperty list int int vertex_indices",
                     struct.pack("<i", 10**9)), {}, "E0321", "corners"),
    "a bundle that wants to run a program": ("a.npz", bundle({"mask": Harmful()}), {}, "E0321", "wants to call"),
    "a bundle without the organ": ("a.npz", bundle({"liver": {"mask": np.ones((1, 4, 4, 4))}}), {"organ": "lever"},
                                   "E0328", "no organ 'lever'"),
    "a bundle of several organs": ("a.npz", bundle({k: {"mask": np.ones((1, 4, 4, 4))} for k in "ab"}), {}, "E0328",
                                   "several organs"),
    "an archive of something else": ("a.npz", b"PK not really", {}, "E0321", ""),
}


@pytest.mark.parametrize("name", BAD)
def test_one_message_with_file_and_remedy(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    file, data, options, code, said = BAD[name]
    (tmp_path / file).write_bytes(data)
    with pytest.raises(FdifError) as caught:
        bake(Request(find(tmp_path, file), cells=16, **options))  # type: ignore[arg-type]
    (found,) = caught.value.diagnostics
    assert found.code == code and file in found.where and found.hint
    assert said in f"{found.title} {found.why}"
    assert not (tmp_path / "harmed").exists()
    assert not [*(tmp_path / "cache").rglob("*")]


def test_a_file_that_changes_while_it_is_baked_is_not_kept(tmp_path: Path) -> None:
    path = tmp_path / "a.stl"
    path.write_bytes(stl(SOLID))
    request = Request(find(tmp_path, "a.stl"), cells=16)
    path.write_bytes(stl(SOLID * 2))
    with pytest.raises(FdifError, match="changed while"):
        bake(request)
    assert not [*(tmp_path / "cache").rglob("*")]


def test_a_link_leads_nowhere_else(tmp_path: Path) -> None:
    home = tmp_path / "library"
    home.mkdir()
    (tmp_path / "secret.stl").write_bytes(stl(SOLID))
    (home / "organ.stl").symlink_to(tmp_path / "secret.stl")
    with pytest.raises(FdifError, match="leads out"):
        find(home, "organ.stl")


def text_forms() -> dict[str, bytes]:
    """The same mesh in each form."""
    faces = "\n".join(f"3 {a} {b} {c}" for a, b, c in TETRAHEDRON)
    points = "\n".join(f"{x:g} {y:g} {z:g}" for x, y, z in CORNERS)
    head = ("element vertex 4\nproperty float x\nproperty float y\nproperty float z\n"
            "element face 4\nproperty list uchar int vertex_indices")
    packed = CORNERS.astype(">f4").tobytes() + b"".join(b"\3" + face.astype(">i4").tobytes() for face in TETRAHEDRON)
    solid = "".join("facet normal 0 0 0\nouter loop\n" + "".join(f"vertex {x:g} {y:g} {z:g}\n" for x, y, z in t)
                    + "endloop\nendfacet\n" for t in SOLID)
    return {
        "binary.stl": stl(SOLID), "text.stl": f"solid a\n{solid}endsolid a\n".encode(),
        "a.obj": ("".join(f"v {p}\n" for p in points.splitlines())
                  + "".join(f"f {a + 1}//1 {b + 1}//1 {c - 4}//1\n" for a, b, c in TETRAHEDRON)).encode(),
        "text.ply": ply(f"format ascii 1.0\ncomment made here\n{head}", f"{points}\n{faces}\n".encode()),
        "big.ply": ply(f"format binary_big_endian 1.0\n{head}", packed)}


def test_every_form_gives_the_same_field(tmp_path: Path) -> None:
    found = []
    for name, data in text_forms().items():
        (tmp_path / name).write_bytes(data)
        found.append(bake(Request(find(tmp_path, name), cells=16)).numbers)
    assert all(np.array_equal(found[0], other) for other in found[1:]) and (found[0] < 0).any()


@pytest.mark.parametrize("protocol", [2, 4, 5])
def test_a_bundle_gives_its_samples_from_meshes_or_masks(protocol: int, tmp_path: Path) -> None:
    """As MedShapeNetCore writes them: object arrays of meshes, or dictionaries by the number of the sample."""
    meshes = np.empty(2, object)
    faces = np.empty(2, object)
    for k in (0, 1):
        meshes[k], faces[k] = CORNERS * (k + 1), TETRAHEDRON
    mask = np.zeros((1, 12, 12, 12), bool)
    mask[0, 2:10, 2:10, 2:6] = True
    data = {"cone": {"mesh": {"vertices": meshes, "faces": faces}, "point": np.zeros((2, 5, 3))}, "box": {"mask": mask}}
    body = io.BytesIO()
    np.lib.format.write_array_header_1_0(body, {"descr": "|O", "fortran_order": False, "shape": ()})
    import zipfile

    with zipfile.ZipFile(tmp_path / "medshapenetcore_ASOCA.npz", "w") as archive:
        archive.writestr("data.npy", body.getvalue() + pickle.dumps(np.array(data, object), protocol))
    cone, box = (bake(Request(find(tmp_path, "medshapenetcore_ASOCA.npz"), organ=organ, cells=16))
                 for organ in ("cone", "box"))
    assert cone.samples == 2 and np.array_equal(cone.numbers[0], cone.numbers[1])  # alike but for their size
    assert box.samples == 1 and (box.numbers < 0).any()
    assert re.fullmatch(r"[0-9a-f]{64}", cone.origins[0]["sha256"])
