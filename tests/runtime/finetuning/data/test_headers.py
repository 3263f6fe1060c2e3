"""Headers at random: a file is read, or refused with its name."""

from __future__ import annotations

import gzip
from pathlib import Path
from tempfile import TemporaryDirectory

import nibabel
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from fdif_dsl.grammar.diagnostics import FdifError
from fdif_dsl.runtime.finetuning.data.cases import Case, DataList
from fdif_dsl.runtime.finetuning.data.fingerprint import examine
from fdif_dsl.runtime.finetuning.data.memory import check_memory
from fdif_dsl.runtime.finetuning.data.nifti import NEAR, read_label

VOXELS = np.arange(60, dtype=np.int16).reshape(3, 4, 5) % 3
FIELDS = nibabel.Nifti1Header().structarr.dtype.fields
# Bytes anywhere, and what is likely to matter: axes, types, sizes of voxels, where they stand, scales, affines.
PLACES = st.one_of(st.integers(0, 351), st.sampled_from(
    [FIELDS[name][1] for name in ("dim", "datatype", "bitpix", "pixdim", "vox_offset", "scl_slope", "scl_inter",
                                  "qform_code", "sform_code", "quatern_b", "srow_x", "srow_y", "srow_z", "magic")]))
VALUES = st.one_of(st.binary(min_size=1, max_size=8), st.builds(
    lambda value, kind: np.array(value).astype(kind).tobytes(),
    st.sampled_from([0, 1, -1, 2, 4, 30, 1e-30, 1e30, np.nan, np.inf, 32767]), st.sampled_from(["<f4", "<i2"])))


def spoiled(changes: list[tuple[int, bytes]]) -> bytes:
    data = bytearray(nibabel.Nifti1Image(VOXELS, np.diag([1, 2, 3, 1])).to_bytes())
    for place, value in changes:
        data[place : place + len(value)] = value
    return bytes(data)


@pytest.mark.filterwarnings("ignore")
@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(PLACES, VALUES), min_size=1, max_size=3), st.sampled_from(["image", "label"]), st.booleans())
@example([(112, b"\0\0\xc0\x7f")], "label", False)  # a scale that is no number
def test_a_header_at_random(changes: list[tuple[int, bytes]], which: str, packed: bool) -> None:
    with TemporaryDirectory() as folder:
        ending = ".nii.gz" if packed else ".nii"
        paths = {name: Path(folder) / f"{name}{ending}" for name in ("image", "label")}
        for name, path in paths.items():
            data = spoiled(changes if name == which else [])
            path.write_bytes(gzip.compress(data, 1) if packed else data)
        case = Case("a", (paths["image"],), paths["label"])
        try:
            checked = examine(DataList(Path("list.json"), (case,), (), ("background", "a", "b"), (), (0, 1, 2)))
            check_memory(checked, None, [], [case], room=0, drawn=0)
        except FdifError as error:
            for found in error.diagnostics:
                assert found.where.startswith((f"{folder}/", "list.json")), str(error)
                assert found.why and found.hint


@settings(max_examples=50, deadline=None)
@given(st.integers(-5, 2000), st.floats(-0.01, 0.01), st.sampled_from([np.float32, np.float64]))
def test_labels_in_floats_are_whole_numbers_or_nearly(value: int, off: float, kind: type) -> None:
    stored = np.full((2, 2, 2), value + off, kind)
    with TemporaryDirectory() as folder:
        path = Path(folder) / "a.nii"
        nibabel.save(nibabel.Nifti1Image(stored, np.eye(4)), path)
        if abs(stored.item(0) - value) <= NEAR:
            assert (read_label(path).voxels == value).all()
        else:
            with pytest.raises(FdifError) as caught:
                read_label(path)
            assert f"why: {stored[0, 0, 0]} is no whole number" in str(caught.value)
            assert float(str(stored[0, 0, 0])) != value


def test_labels_with_a_scale_are_whole_numbers(tmp_path: Path) -> None:
    image = nibabel.Nifti1Image(VOXELS * 10, np.eye(4))
    image.header.set_slope_inter(0.1000001, 0)
    path = tmp_path / "a.nii"
    data = bytearray(image.to_bytes())
    data[112:120] = np.array([0.1000001, 0], "<f4").tobytes()
    path.write_bytes(data)
    assert np.array_equal(read_label(path).voxels[0], VOXELS)
