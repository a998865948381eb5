"""What each update sees: which crops, and the seed of its dropout; the same for all fits of a seed."""

import numpy as np

from eeg_sgdr.errors import UserError


def updates_per_epoch(n_crops: int, batch_size: int) -> int:
    """U: full batches in an epoch.

    Raises
    ------
    UserError
        If there is none.
    """
    if n_crops < batch_size:
        raise UserError(
            f"training.batch_size: {batch_size} is more than the {n_crops} training crops; make it smaller."
        )
    return n_crops // batch_size


def crop_order(seed: int, epoch: int, n_crops: int) -> np.ndarray:
    """Order of the crops in an epoch; the same for all fits of a seed."""
    return np.random.default_rng([seed, epoch]).permutation(n_crops)


def dropout_seed(seed: int, update: int) -> int:
    """Seed of the dropout masks of an update; the same for all fits of a seed.

    Made anew for every update, so that a fit can go on anywhere without a stored random state.
    """
    return int(np.random.SeedSequence([seed, update]).generate_state(1, np.uint64)[0] >> 1)
