"""The scanner in torch, on any device: what `compiled.py` does, in plain words.

Both draw the same numbers; they differ by rounding, so by one grey level in a few voxels of a million. Nothing here
waits for the device.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from fdif_dsl.compiler.backends.cpu.scanner import GAUSSIAN_NOISE, GROUP, RICIAN_NOISE
from fdif_dsl.runtime.scanner.draws import Acquisition
from fdif_dsl.runtime.scanner.fields import Field

WHITE = 128.0
_WORD = 0xFFFFFFFF
_MULTIPLY = 0xD2511F53, 0xCD9E8D57
_WEYL = 0x9E3779B9, 0xBB67AE85
_LANES = GROUP // 4


def scanned(what: Acquisition, image: torch.Tensor, numbers: torch.Tensor) -> torch.Tensor:
    """The image (D, H, W), uint8, after all that happens to it. `numbers` says which object each voxel belongs to, from
    1; 0 is background. Where nothing is painted, any number but 0 will do for an object."""
    x, owner = image.float(), numbers.long()
    if what.paint is not None:
        keep, add = _moved(what.paint, x.device)
        place = owner.clamp_max(len(keep) - 1)
        x = x * keep[place] + add[place]
    if what.texture is not None:
        x = x + (owner == 0) * whole_field(what.texture, x.device)
    x = x.clamp(0, WHITE)
    if what.invert:
        x = WHITE - x
    for axis, profile in reversed([*enumerate(what.profiles)]):
        if profile is not None:
            x = (_moved(profile.matrix(), x.device) @ x.movedim(axis, -2)).movedim(-2, axis)
    if what.bias is not None:
        x = x * whole_field(what.bias, x.device)
    if what.gaussian:
        x = x + what.gaussian * normals(what, GAUSSIAN_NOISE, x.shape, x.device)[0]
    if what.rician:
        real, imaginary = what.rician * normals(what, RICIAN_NOISE, x.shape, x.device, 2)
        x = ((x + real) ** 2 + imaginary**2).sqrt()
    x = x.clamp(0, WHITE)
    if what.gamma != 1:
        x = WHITE * (x / WHITE) ** what.gamma
    return (x + 0.5).byte()


def whole_field(field: Field, device: torch.device) -> torch.Tensor:
    """A field at every voxel, float32 (D, H, W)."""
    values = _moved(field.values, device)
    for axis, (cell, weight) in enumerate(zip(field.cells, field.weights, strict=True)):
        at = _moved(cell, device)
        before, after = values.index_select(axis, at), values.index_select(axis, at + 1)
        values = before + _moved(weight, device).view(-1, *[1] * (2 - axis)) * (after - before)
    return values


def normals(what: Acquisition, object_number: int, shape: Sequence[int], device: torch.device,
            parts: int = 1) -> torch.Tensor:
    """Normal random numbers, float32 (parts, D, H, W), by Box and Muller.

    The voxels of a slice, filled up to whole groups, are drawn a group at a time: `parts` groups of blocks for each.
    In a group, words 0 and 1 of block k make numbers k and LANES + k, words 2 and 3 those after.
    """
    depth, height, width = shape
    groups = -(-height * width // GROUP)
    block = torch.arange(depth * groups * parts * _LANES, device=device)
    a, b, c, d = map(unit, philox(block, object_number, what.seed, what.index))
    drawn = []
    for first, second in ((a, b), (c, d)):
        radius, angle = (-2 * first.log()).sqrt(), 2 * math.pi * second
        drawn += [radius * angle.cos(), radius * angle.sin()]
    whole = torch.stack([numbers.view(depth, groups, parts, _LANES) for numbers in drawn], dim=3)
    whole = whole.permute(2, 0, 1, 3, 4).reshape(parts, depth, groups * GROUP)
    return whole[..., : height * width].reshape(parts, *shape)


def philox(block: torch.Tensor, object_number: int, seed: int, index: int) -> tuple[torch.Tensor, ...]:
    """The four random words of each block, as `runtime/scenes/philox.py` has them. Products of words fill all 64 bits
    of a number, the sign among them, so that their upper halves have to be freed of it."""
    a: Any = block
    b: Any = object_number
    c: Any = index & _WORD
    d: Any = index >> 32
    low, high = seed & _WORD, seed >> 32
    for _ in range(10):
        first, second = a * _MULTIPLY[0], c * _MULTIPLY[1]
        a, b, c, d = (((second >> 32) & _WORD) ^ b ^ low, second & _WORD,
                      ((first >> 32) & _WORD) ^ d ^ high, first & _WORD)
        low, high = (low + _WEYL[0]) & _WORD, (high + _WEYL[1]) & _WORD
    return a, b, c, d


def unit(word: torch.Tensor) -> torch.Tensor:
    """A random word as a float32 between 0 and 1, neither of them: its upper 23 bits and a half."""
    return ((word >> 9).float() + 0.5) * 2.0**-23


def _moved(array: npt.NDArray[Any], device: torch.device) -> torch.Tensor:
    """An array on the device; from pinned memory, as a copy from any other waits for the device."""
    tensor = torch.from_numpy(np.ascontiguousarray(array))
    return tensor.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else tensor
