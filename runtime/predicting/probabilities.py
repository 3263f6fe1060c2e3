"""The probability of each class of each voxel, as a file that is filled bit by bit."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import torch

from fdif_dsl.compiler.support.files import replacing
from fdif_dsl.runtime.finetuning.data.nifti import Grid
from fdif_dsl.runtime.finetuning.own_grid import Box


class Probabilities:
    """A NIfTI file (x, y, z, classes) of float32 at `path`, there once the block has ended. With `overlap` they are
    those of regions, each by itself."""

    def __init__(self, path: Path, grid: Grid, classes: int, overlap: bool) -> None:
        self._overlap = overlap
        self._path, self._grid, self._shape = path, grid, (*grid.shape, classes)
        self._open = ExitStack()
        self._file = path
        self._offset = 0

    def __enter__(self) -> Probabilities:
        import nibabel

        self._path.parent.mkdir(exist_ok=True)
        self._file = self._open.enter_context(replacing(self._path))
        header: Any = nibabel.Nifti1Header()  # type: ignore[attr-defined, no-untyped-call]
        header.set_data_dtype(np.float32)
        header.set_data_shape(self._shape)
        header.set_sform(self._grid.affine, code=1)
        header.set_qform(self._grid.affine, code=1)
        header["magic"], self._offset = b"n+1", 352
        header["vox_offset"] = self._offset
        with self._file.open("wb") as file:
            header.write_to(file)
            file.truncate(self._offset + 4 * int(np.prod(self._shape, dtype=np.int64)))
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        self._open.__exit__(kind, error, trace)

    def keep(self, box: Box, values: torch.Tensor, meant: torch.Tensor) -> None:
        """Writes what the values (classes, ...) in a box stand for, where they are meant."""
        # Mapped anew each time: what is written would else count as memory of this process.
        mapped: Any = np.memmap(self._file, np.float32, "r+", self._offset, self._shape, order="F")
        chances = (values.sigmoid() if self._overlap else values.softmax(0)).movedim(0, -1).numpy()
        mapped[box] = np.where(meant.numpy()[..., None], chances, mapped[box])
        mapped.flush()
