"""Where prepared volumes wait, and that nothing stays of it."""

from __future__ import annotations

import gc
import tempfile
import warnings
from pathlib import Path

import pytest
import torch

from fdif_dsl.runtime.finetuning.data.cache import Cache


def test_files_go_with_the_cache_without_a_word(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    cache = Cache(4e-9)  # room for a single number
    kept, waits = (cache.keep(torch.arange(n, dtype=torch.float32)) for n in (1, 50))
    assert kept.tolist() == [0.0] and waits.tolist() == list(range(50))
    (folder,) = tmp_path.iterdir()
    assert len(list(folder.iterdir())) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        del cache, waits
        gc.collect()
    assert not list(tmp_path.iterdir())
