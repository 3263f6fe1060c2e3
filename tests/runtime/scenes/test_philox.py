"""The counter-based generator: known answers of Random123, and what the counters promise."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fdif_dsl.runtime.scenes.philox import VOLUME, philox4x32, uniforms

ONES = 0xFFFFFFFF


@pytest.mark.parametrize(("counter", "key", "answer"), [
    ((0, 0, 0, 0), (0, 0), "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
    ((ONES, ONES, ONES, ONES), (ONES, ONES), "408f276d 41c83b0e a20bc7c6 6d5451fd"),
    ((0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344), (0xA4093822, 0x299F31D0), "d16cfe09 94fdcceb 5001e420 24126ea1"),
])
def test_known_answers(counter: tuple[int, ...], key: tuple[int, int], answer: str) -> None:
    a, b, c, d = (np.array([w], np.uint64) for w in counter)
    assert " ".join(f"{int(w[0]):08x}" for w in philox4x32((a, b, c, d), key)) == answer


def test_a_number_is_the_middle_of_its_word() -> None:
    """Words 0 to 3 of seed 0, volume 0, object 0 are the first known answer."""
    expected = [(w + 0.5) / 2**32 for w in (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)]
    assert uniforms(0, 0, 0, 0, 4)[0].tolist() == expected


def test_every_bit_of_seed_and_index_counts() -> None:
    seeds = [0, *(1 << i for i in range(64)), 2**64 - 1]
    indices = [0, *(1 << i for i in range(63)), 2**63 - 1]
    assert len({uniforms(s, 0, 0, 0, 1)[0, 0] for s in seeds}) == len(seeds)
    assert len({uniforms(0, i, 0, 0, 1)[0, 0] for i in indices}) == len(indices)


@given(st.integers(0, 2**64 - 1), st.integers(0, 2**63 - 1), st.integers(0, 30), st.integers(0, 30))
def test_a_part_of_a_sequence_is_that_part(seed: int, index: int, first: int, count: int) -> None:
    whole = uniforms(seed, index, [0, 5, VOLUME], 0, 64)
    part = uniforms(seed, index, [5, VOLUME], first, count)
    assert part.shape == (2, count)
    assert np.array_equal(part, whole[1:, first : first + count])
    assert (whole > 0).all() and (whole < 1).all()


def test_nothing_to_draw() -> None:
    assert uniforms(1, 2, [], 0, 5).shape == (0, 5)
    assert uniforms(1, 2, [1, 2], 16, 0).shape == (2, 0)


def test_the_numbers_are_uniform() -> None:
    drawn = uniforms(7, 0, np.arange(1000), 0, 100).ravel()
    assert abs(drawn.mean() - 0.5) < 0.003
    counts = np.histogram(drawn, 16, (0, 1))[0]
    assert (((counts - 6250) ** 2) / 6250).sum() < 40  # chi-squared of 15 degrees of freedom: 1 in 2000 is above
