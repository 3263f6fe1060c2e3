"""Files that are not what their names say: what each is, by its first bytes, and what to do about it."""

from __future__ import annotations

import gzip
import struct
import zlib
from contextlib import suppress
from pathlib import Path

import numpy as np

from fdif_dsl.grammar.diagnostics import Diagnostic
from fdif_dsl.runtime.finetuning.data.cases import ENDINGS

_HEADER = 348  # bytes of a NIfTI-1 header
_GZIP = b"\x1f\x8b"
_SERIES = "name the folder of its series, which is one image"
_FOREIGN = (  # first bytes, what such a file is
    (b"NRRD", "an NRRD file"),
    (b"ObjectType", "a MetaImage file"),
    (b"NDims", "a MetaImage file"),
    (b"\x89HDF\r\n", "an HDF5 file"),
    (b"\x93NUMPY", "a NumPy array"),
    (b"\x89PNG", "a PNG picture"),
    (b"\xff\xd8\xff", "a JPEG picture"),
)
_OTHER_ENDINGS = (*ENDINGS, ".mgz", ".hdr", ".img", ".npy", ".npz", ".h5", ".dcm")


def impostor(path: Path) -> Diagnostic | None:
    """What is said of a file that could not be read, where its first bytes tell why."""

    def wrong(why: str, hint: str) -> Diagnostic:
        return Diagnostic("E0912", "a file is no NIfTI file", where=str(path), why=why, hint=hint)

    try:
        with path.open("rb") as file:
            start = file.read(512)
    except OSError:
        return None
    name, packed = path.name, path.name.lower().endswith(".gz")
    if not start:
        return wrong("it is empty", "copy it again")
    if start.startswith(_GZIP):
        if not packed:
            return wrong("it is packed with gzip, and its name does not say so",
                         f"unpack it: mv {name} {name}.gz && gunzip {name}.gz")
        start = _unpacked(path)
    elif packed and _is_header(start):
        return wrong("it is not packed with gzip, and its name says so",
                     f"pack it: mv {name} {name[:-3]} && gzip {name[:-3]}")
    if start.startswith(b"version https://git-lfs"):
        return wrong("it is a pointer of Git LFS, and the file itself was not fetched", "fetch it: git lfs pull")
    if start.lstrip()[:14].lower().startswith((b"<!doctype html", b"<html", b"<?xml")):
        return wrong("it is a web page", "it was downloaded from a page that wants a login, or has moved; download it "
                                         "again")
    if start.startswith(b"PK\x03\x04"):
        return wrong("it is a ZIP archive", "unpack it with unzip")
    if start[128:132] == b"DICM":
        return wrong("it is a DICOM file", _SERIES)
    for magic, what in _FOREIGN:
        if start.startswith(magic):
            return wrong(f"it is {what}", _conversion(path))
    if start and not _is_header(start) and name.lower().endswith((".nii", ".nii.gz")):
        return wrong("its first bytes are not those of NIfTI", "give an image in that format; if it was one, it was "
                     "damaged when it was copied")
    return _turned_impossibly(path, start)


def missing(path: Path) -> Diagnostic:
    """What is said of a file that a data set names and that is not there."""
    title, why, hint = "a file is missing", "the data set names it", "put it there, or take its case off the list"
    if path.is_symlink() and not path.exists():
        target = str(path.readlink())
        why = f"it is a link to {target}, where nothing is"
        hint = "fetch it: datalad get, or git annex get" if "annex" in target else "mend the link, or " + hint
    elif path.is_dir():
        title, why, hint = ("a folder stands where a file is expected", "it holds no DICOM series, and all else is one "
                            "file", "name the file")
    elif other := _by_another_name(path):
        convertible = not other.name.lower().endswith(ENDINGS)
        why = f"the data set names it; {other.name} is there"
        if convertible:
            hint = _conversion(other)
        elif other.name.removesuffix(_ending(other.name)) == path.name.removesuffix(_ending(path.name)):
            hint = f"name {other.name} in the list, or convert it"
        else:
            hint = f"nnU-Net's images end in the number of their channel: rename it to {path.name}"
    return Diagnostic("E0911", title, where=str(path), why=why, hint=hint)


def _by_another_name(path: Path) -> Path | None:
    """A file beside a missing one that is hardly another: it has another ending, or lacks the number of a channel."""
    bare = path.name.removesuffix(_ending(path.name))
    wanted = [bare, bare[:-5]] if bare[-5:-4] == "_" and bare[-4:].isdigit() else [bare]
    with suppress(OSError):
        beside = sorted(file for file in path.parent.iterdir() if file.is_file())
        for name in wanted:
            for file in beside:
                if (end := _ending(file.name)) and file.name.removesuffix(end) == name:
                    return file
    return None


def _ending(name: str) -> str:
    return next((name[-len(end):] for end in _OTHER_ENDINGS if name.lower().endswith(end)), "")


def _conversion(path: Path) -> str:
    bare = path.name.removesuffix(_ending(path.name))
    return f'convert it, for example with SimpleITK: WriteImage(ReadImage("{path.name}"), "{bare}.nii.gz")'


def _unpacked(path: Path) -> bytes:
    """The first bytes of what is packed, as far as they can be read."""
    with suppress(OSError, EOFError, zlib.error), gzip.open(path) as file:
        return file.read(512)
    return b""


def _is_header(start: bytes) -> bool:
    """Whether a NIfTI file begins so: with the size of its header, of version 1 or 2, in either order of bytes."""
    return any(start[:4] == struct.pack(order + "i", size) for order in "<>" for size in (348, 540))


def _turned_impossibly(path: Path, start: bytes) -> Diagnostic | None:
    """What is said of a header whose rotation is none."""
    if len(start) < _HEADER or start[:4] not in (b"\x5c\x01\0\0", b"\0\0\x01\x5c"):
        return None
    order = "<" if start[0] else ">"
    by_quaternion, by_rows = struct.unpack_from(order + "hh", start, 252)
    length = float(np.linalg.norm(np.frombuffer(start, order + "f4", 3, 256).astype(np.float64)))
    if by_rows > 0 or by_quaternion <= 0 or length <= 1:
        return None
    return Diagnostic(
        "E0912", "a file does not say where its voxels lie", where=str(path),
        why=f"the quaternion in its header is no rotation: b, c and d have length {length:.6g}, and at most 1 is "
            "possible", hint="write the header anew from the original; where its `sform` is set, that is used instead")
