"""Seeds of a unit's trainings, and what is drawn from them: the order of crops, and dropout."""

import hashlib

import numpy as np


def unit_seed(seed: int, label: str) -> int:
    """Seed of a subject's or fold's trainings where each has its own (``training.seeding: unit``).

    Parameters
    ----------
    seed : int
        A seed of the configuration.
    label : str
        The subject's label, or the fold's number; of a fold within a subject both, as in "1/3".

    Returns
    -------
    seed : int
        From 0 to 2**63 - 1: the first 64 bits that ``numpy.random.SeedSequence`` makes of the seed and the
        SHA-256 of the label, without the last one.
    """
    digest = int.from_bytes(hashlib.sha256(label.encode()).digest(), "big")
    return _draw([seed, digest])


def crop_order(seed: int, epoch: int, n_crops: int) -> np.ndarray:
    """Order of the crops in an epoch; the same for all fits of a seed."""
    return np.random.default_rng([seed, epoch]).permutation(n_crops)


def dropout_seed(seed: int, update: int) -> int:
    """Seed of the dropout masks of an update; the same for all fits of a seed.

    Drawn anew for every update, so that a fit can be resumed anywhere without a stored random state.
    """
    return _draw([seed, update])


def _draw(entropy: list[int]) -> int:
    """63 bits, which all generators take as a seed."""
    return int(np.random.SeedSequence(entropy).generate_state(1, np.uint64)[0] >> 1)
