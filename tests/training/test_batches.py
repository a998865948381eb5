"""Orders and dropout seeds: drawn anew for every epoch and update, and the same for all fits of a seed."""

import pytest

from eeg_sgdr.errors import UserError
from eeg_sgdr.training.loop import crop_order, dropout_seed, updates_per_epoch


def test_an_epoch_s_order_is_drawn_from_seed_and_epoch():
    assert sorted(crop_order(0, 0, 50)) == list(range(50))
    orders = [tuple(crop_order(seed, epoch, 50)) for seed in (0, 1) for epoch in (0, 1)]
    assert len(set(orders)) == 4
    assert tuple(crop_order(0, 0, 50)) == orders[0]


def test_dropout_seeds_do_not_repeat():
    assert len({dropout_seed(seed, update) for seed in range(5) for update in range(200)}) == 1000


def test_an_epoch_has_full_batches_only():
    assert [updates_per_epoch(n, 8) for n in (8, 15, 16)] == [1, 1, 2]
    with pytest.raises(UserError, match="8 is more than the 7 training crops"):
        updates_per_epoch(7, 8)
