"""The kernels of an artefact for one kind of GPU, and what is built where it has none."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path

from fdif_dsl.compiler.backends.cuda.target import CudaTarget, require_compiler, runs_on, unpack
from fdif_dsl.compiler.backends.store import store
from fdif_dsl.compiler.backends.store.unit import Unit
from fdif_dsl.compiler.support.progress import Progress, tell


class Stored:
    """Code for a GPU of the compute capability `device`: machine code if some was made for it, else PTX, which the
    driver compiles; from the artefact's `folder`, or built."""

    def __init__(self, device: tuple[int, int], folder: Path | None, progress: Progress | None = None) -> None:
        self._device = device
        self._progress = progress
        self.target = CudaTarget(device) if folder is None else best(folder, device) or CudaTarget(device)
        self._folder = None if folder is None else folder / self.target.name

    @cached_property
    def _kept(self) -> dict[str, bytes]:
        if self._folder is None or not self._folder.is_dir():
            return {}
        return store.load(self.target, self._folder)

    def codes(self, units: Mapping[str, Unit]) -> dict[str, bytes]:
        """What the driver is to load for each unit."""
        missing = [unit for symbol, unit in units.items() if symbol not in self._kept]
        if missing and self._kept:
            tell(f"the compiled library lacks {len(missing)} kernels for {self.target.name}; they are compiled now")
        found = {symbol: self._kept[symbol] for symbol in units if symbol in self._kept}
        if missing:
            require_compiler(self.target)
            found |= store.build(self.target, missing, self._progress)
        binary = runs_on(self.target.capability, self._device)
        return {symbol: unpack(code)[1 if binary else 0] for symbol, code in found.items()}


def best(folder: Path, device: tuple[int, int]) -> CudaTarget | None:
    """Of what an artefact holds, that which fits a device best: machine code that runs there, else the latest PTX."""
    targets = [CudaTarget.parse(path.name) for path in folder.glob("cuda-sm_*") if path.is_dir()]
    usable = [target for target in targets if target.capability <= device]
    return max(usable, key=lambda t: (runs_on(t.capability, device), t.capability), default=None)
