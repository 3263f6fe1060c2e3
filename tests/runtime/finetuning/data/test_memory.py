"""What does not fit in memory is said before anything is prepared."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import nibabel
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from fdif_dsl.grammar.diagnostics import FdifError
from fdif_dsl.runtime.finetuning import finetune, open_data
from fdif_dsl.runtime.finetuning.data import memory, nifti
from fdif_dsl.runtime.finetuning.data.fingerprint import Facts
from fdif_dsl.runtime.finetuning.data.memory import check_memory, resampled, within_memory
from fdif_dsl.runtime.finetuning.preflight import begin


@pytest.fixture
def free(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Sets how much memory the machine has free, in bytes: `free(2e9)`."""

    def to(size: float | None) -> None:
        for module in (memory, nifti):
            monkeypatch.setattr(module, "free_memory", lambda: None if size is None else int(size))

    return to


def spread(path: Path, millimetres: float) -> None:
    """Gives case 1 voxels of another size."""
    for part in ("imagesTr", "labelsTr"):
        stored = nibabel.load(path.parent / part / "case1.nii.gz")
        nibabel.save(nibabel.Nifti1Image(np.asarray(stored.dataobj), np.diag([millimetres] * 3 + [1])),
                     path.parent / part / "case1.nii.gz")


def message(path: Path, tiny: Any, *overrides: str) -> str:
    with pytest.raises(FdifError) as caught:
        begin(tiny(path, *overrides), "small", False)
    return str(caught.value)


def test_one_header_of_another_scale(datalist: Any, tiny: Any, free: Any) -> None:
    path = datalist(cases=4)
    spread(path, 300)
    free(16e9)
    assert message(path, tiny, "data.fold=2") == f"""\
error[E0927]: a case is larger than the memory that is free
  --> {path.parent}/imagesTr/case1.nii.gz
  why: resampled to voxels of 2.5 x 1 x 1 mm it has 1440 x 6600 x 7800 voxels (z, y, x), and the median case 12 x 22 x \
26; preparing it takes 2.97 TB, and 16 GB are free
  hint: by its header its own voxels are 300 x 300 x 300 mm: mend that, or choose other voxels with data.spacing"""
    free(None)
    assert begin(tiny(path), "small", False).warnings  # where nobody knows, nobody is refused


def test_a_case_that_fits_and_is_far_larger(datalist: Any, tiny: Any, free: Any) -> None:
    path = datalist(cases=4)
    spread(path, 5)
    free(16e9)
    (warning,) = begin(tiny(path), "small", False).warnings
    assert warning.render() == f"""\
warning[E0929]: a case is far larger than the others
  --> {path.parent}/imagesTr/case1.nii.gz
  why: resampled to voxels of 2.5 x 1 x 1 mm it has 24 x 110 x 130 voxels (z, y, x), and the median case 12 x 22 x 26
  hint: by its header its own voxels are 5 x 5 x 5 mm: mend that, or choose other voxels with data.spacing"""
    assert begin(tiny(path, "data.spacing=keep"), "small", False).warnings == ()


def test_cases_that_are_to_stay_in_memory(datalist: Any, tiny: Any, free: Any) -> None:
    path = datalist(cases=8)  # of 6864 voxels, 34 kB each
    free(1.1e6)
    assert message(path, tiny) == f"""\
error[E0927]: the prepared cases are larger than the memory that is free
  --> {path}
  why: 275 kB are to stay in memory, the largest case takes 1.02 MB while it is prepared or scored, and 1.1 MB are free
  hint: data.memory=0.0 keeps fewer gigabytes; the other cases wait in temporary files"""
    assert begin(tiny(path, "data.memory=0"), "small", False).warnings == ()
    # Of one case that is drawn and the three that are held out, less is to stay.
    assert "137 kB are to stay" in message(path, tiny, "data.cases=1", "data.folds=3")
    bank = open_data(tiny(path))
    for case in bank.data.list.cases:
        bank[case]  # what is there is no longer to come
    assert begin(tiny(path), "small", False, bank).warnings == ()
    free(1e6)
    assert "; scoring its 3 classes takes 1.02 MB, and 1 MB are free" in message(path, tiny, "data.memory=0")


def test_what_is_said_of_a_case_need_not_fit_as_a_whole(free: Any) -> None:
    facts = SimpleNamespace(shape=(512, 512, 512), spacing=(1.0, 1.0, 1.0))
    data: Any = SimpleNamespace(facts={"a": facts}, channels=1, outputs=100)
    case: Any = SimpleNamespace(name="a", images=[Path("a.nii.gz")])
    free(30e9)  # the answers of 100 classes have 54 GB
    assert check_memory(data, None, [], [case], room=0, drawn=0) == ()
    free(20e9)
    with pytest.raises(FdifError, match="scoring its 100 classes takes 25 GB, and 20 GB are free"):
        check_memory(data, None, [], [case], room=0, drawn=0)


def test_voxels_of_a_file_that_do_not_fit(datalist: Any, tiny: Any, free: Any) -> None:
    path = datalist(cases=3)
    free(2e4)
    with pytest.raises(FdifError) as caught:
        open_data(tiny(path))
    assert caught.value.diagnostics[0].render() == f"""\
error[E0927]: a file is larger than the memory that is free
  --> {path.parent}/imagesTr/case0.nii.gz
  why: by its header it holds 27.5 kB of voxels, and 20 kB are free
  hint: check its header, or give it on coarser voxels"""


@pytest.mark.parametrize("error", [MemoryError(), RuntimeError("DefaultCPUAllocator: can't allocate memory"),
                                   torch.OutOfMemoryError("CUDA out of memory. Tried")])
def test_an_allocator_that_fails(error: Exception, free: Any) -> None:
    free(5e9)
    with pytest.raises(FdifError) as caught, within_memory("a was scored", "take less"):
        raise error
    assert str(caught.value) == """\
error[E0927]: memory ran out while a was scored
  why: 5 GB are free
  hint: take less"""
    with pytest.raises(RuntimeError, match="shapes"), within_memory("a was scored", "take less"):
        raise RuntimeError("shapes differ")


def test_an_allocator_that_fails_in_a_run(
        datalist: Any, tiny: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from fdif_dsl.runtime.finetuning import segmentation_run

    def fail(*_: Any, **__: Any) -> None:
        raise RuntimeError("[enforce fail at alloc_cpu.cpp:117] DefaultCPUAllocator: not enough memory: you tried")

    monkeypatch.setattr(segmentation_run, "segment", fail)
    with pytest.raises(FdifError, match=r"memory ran out while case\d was scored"):
        finetune(tiny(datalist(cases=3), "train.steps=1"), tmp_path / "run")
    monkeypatch.setattr(segmentation_run, "Patches", fail)
    with pytest.raises(FdifError, match="memory ran out while seed 1 ran"):
        finetune(tiny(datalist(cases=3), "train.steps=1"), tmp_path / "run", overwrite=True)


@given(st.tuples(*[st.integers(1, 500)] * 3), st.tuples(*[st.floats(0.3, 8)] * 3), st.tuples(*[st.floats(0.3, 8)] * 3))
def test_the_size_of_a_case_as_resampled(shape: Any, own: Any, wanted: Any) -> None:
    facts = Facts(1, shape, own, {})
    its = resampled(facts, wanted)
    assert all(abs(n * step - side * mm) <= step for n, step, side, mm in zip(its, wanted, shape, own, strict=True)
               if side * mm >= step)
    assert resampled(facts, None) == resampled(facts, own) == shape
