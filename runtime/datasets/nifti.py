"""NIfTI files as bytes: no file, no time stamp, so the same volume always gives the same bytes.

Volumes are arrays (D, H, W), that is z, y, x; NIfTI files hold x, y, z. So axes are reversed, and voxel (i, j, k) of a
file is voxel [k, j, i] of the volume. Voxels are cubes of 1 mm and the affine is the identity.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

_OFFSET = 352  # where the voxels begin: the header, and four bytes that say that no extension follows
_NOTE = 79  # characters, and a zero

# zlib's value for 15 bits of window and a gzip header, whose time is 0.
_GZIP = 31


@dataclass(frozen=True)
class Nifti:
    """How NIfTI files are written: `level` is that of gzip, 1 to 9; 0 leaves them as they are."""

    level: int

    @property
    def ending(self) -> str:
        return ".nii.gz" if self.level else ".nii"

    @property
    def options(self) -> Mapping[str, Any]:
        return {"ending": self.ending, "level": self.level}

    def file(self, volume: np.ndarray, note: str) -> bytes:
        """A volume (D, H, W), with a note in its header."""
        data = nifti(volume, note)
        return gzipped(data, self.level) if self.level else data


def nifti(volume: np.ndarray, note: str) -> bytes:
    """A volume (D, H, W) as a NIfTI file; `note` is its description, cut off where it is too long."""
    from nibabel.nifti1 import Nifti1Header

    header: Any = Nifti1Header(endianness="<")  # type: ignore[no-untyped-call]
    header.set_data_dtype(volume.dtype)
    header.set_data_shape(volume.shape[::-1])
    header.set_qform(np.eye(4), code="aligned")
    header.set_sform(np.eye(4), code="aligned")
    header.set_xyzt_units("mm")
    header.set_slope_inter(1, 0)
    header["magic"], header["vox_offset"] = b"n+1", _OFFSET
    header["descrip"] = note.encode("ascii", "replace")[:_NOTE]
    voxels = np.ascontiguousarray(volume, volume.dtype.newbyteorder("<"))
    return b"".join((header.binaryblock, bytes(_OFFSET - len(header.binaryblock)), voxels.data))


def gzipped(data: bytes, level: int) -> bytes:
    """As gzip packs it, by zlib-ng, whose output depends on its version but not on the processor."""
    from zlib_ng import zlib_ng

    return zlib_ng.compress(data, level, wbits=_GZIP)
