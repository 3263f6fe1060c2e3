"""The transformer of `benchmarks/scans.py`."""

import pytest
import torch


def test_the_small_transformer_has_the_size_that_is_said():
    pytest.importorskip("dynamic_network_architectures")
    from scanning.network import small_primus

    network = small_primus(1, 3, (16, 24, 16), 192)
    assert round(sum(p.numel() for p in network.parameters()) / 1e6, 1) == 3.8
    assert network(torch.zeros(1, 1, 16, 24, 16)).shape == (1, 3, 16, 24, 16)
