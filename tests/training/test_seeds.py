"""Seeds of a unit: SeedSequence of the seed and the label's SHA-256."""

import hashlib

import numpy as np

from eeg_sgdr import unit_seed


def test_a_units_seed_is_drawn_from_the_seed_and_the_hash_of_the_label():
    words = np.frombuffer(hashlib.sha256(b"S01").digest(), ">u4")[::-1]  # the lowest 32 bits first
    state = np.random.SeedSequence([3, *words.tolist()]).generate_state(2, np.uint32)
    assert unit_seed(3, "S01") == (int(state[1]) << 32 | int(state[0])) >> 1


def test_units_and_seeds_give_seeds_of_their_own():
    drawn = {unit_seed(seed, str(label)) for seed in range(20) for label in range(100)}
    assert len(drawn) == 2000
    assert all(0 <= seed < 2**63 for seed in drawn)
