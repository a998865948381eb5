"""Schedules as a callback of skorch, and so of braindecode's EEGClassifier."""

from typing import Any

from skorch import NeuralNet
from skorch.callbacks import Callback
from torch.utils.data import Dataset

from eeg_sgdr.schedules import Schedule


class ScheduleRate(Callback):
    """Sets the rate of every update to that of a schedule of `eeg_sgdr.schedules`, before the update.

    Epochs are counted by the net's history, so ``partial_fit`` resumes where training stopped.

    Parameters
    ----------
    schedule : Schedule
        With U updates in an epoch, update k has the rate ``schedule.lr(k / U)``.

    Examples
    --------
    >>> from braindecode import EEGClassifier
    >>> from eeg_sgdr.schedules import WarmRestarts
    >>> schedule = WarmRestarts(0.05, budget=31)
    >>> net = EEGClassifier(
    ...     "ShallowFBCSPNet", callbacks=[ScheduleRate(schedule)], max_epochs=schedule.budget
    ... )
    """

    def __init__(self, schedule: Schedule) -> None:
        self.schedule = schedule

    def on_epoch_begin(self, net: NeuralNet, dataset_train: Dataset | None = None, **kwargs: Any) -> None:
        """Count the updates of the epoch that begins."""
        batches = net.get_iterator(dataset_train, training=True)
        # braindecode's nets wrap the loader in one without a length.
        self.updates_per_epoch_ = len(getattr(batches, "loader", batches))
        self.n_updates_ = 0

    def on_batch_begin(
        self, net: NeuralNet, batch: Any = None, training: bool | None = None, **kwargs: Any
    ) -> None:
        """Set the rate of an update."""
        if not training:
            return
        epochs_done = len(net.history) - 1
        rate = self.schedule.lr(epochs_done + self.n_updates_ / self.updates_per_epoch_)
        for group in net.optimizer_.param_groups:
            group["lr"] = rate
        self.n_updates_ += 1
