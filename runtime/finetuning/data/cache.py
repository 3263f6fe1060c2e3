"""Where prepared volumes are kept: in memory as long as there is room, then in temporary files."""

from __future__ import annotations

import shutil
import weakref
from tempfile import mkdtemp
from typing import Any

import numpy as np


class Cache:
    """`gigabytes` is the room in memory. The files go with the cache."""

    def __init__(self, gigabytes: float) -> None:
        self.room = int(gigabytes * 1e9)
        """Bytes that are left."""
        self._folder: str | None = None
        self._files = 0

    def keep(self, tensor: Any) -> Any:
        """The same tensor, or one that reads from a file what is asked of it."""
        import torch

        if tensor.nbytes <= self.room:
            self.room -= tensor.nbytes
            return tensor
        if self._folder is None:
            self._folder = mkdtemp(prefix="fdif-dsl-")
            # A TemporaryDirectory warns when it goes with what holds it, and that is meant here.
            weakref.finalize(self, shutil.rmtree, self._folder, ignore_errors=True)
        path = f"{self._folder}/{self._files}.npy"
        self._files += 1
        np.save(path, tensor.numpy())
        return torch.from_numpy(np.load(path, mmap_mode="c"))
