"""ScheduleRate: the schedule's rate at every update of a plain EEGClassifier."""

import numpy as np
import torch
from skorch.callbacks import Callback

from eeg_sgdr import compat
from eeg_sgdr.interop.skorch import ScheduleRate
from eeg_sgdr.schedules import WarmRestarts


class Seen(Callback):
    def initialize(self):
        self.rates_ = []
        return self

    def on_grad_computed(self, net, *args, **kwargs):
        self.rates_.append(net.optimizer_.param_groups[0]["lr"])


def test_every_update_of_a_classifier_has_the_rate_of_the_schedule():
    compat.import_braindecode()
    from braindecode import EEGClassifier

    x = np.random.default_rng(0).standard_normal((22, 3, 64)).astype(np.float32)
    y = np.arange(22) % 2
    schedule, seen = WarmRestarts(0.05, 7), Seen()
    module = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(3 * 64, 2))
    training = {"optimizer": torch.optim.SGD, "batch_size": 5, "max_epochs": 3, "train_split": None}
    callbacks = [("schedule", ScheduleRate(schedule)), ("seen", seen)]
    loss = torch.nn.CrossEntropyLoss
    net = EEGClassifier(module, criterion=loss, callbacks=callbacks, classes=[0, 1], verbose=0, **training)
    net.fit(x, y)
    # 22 trials are four full batches; the rest is dropped.
    assert seen.rates_ == [schedule.lr(k / 4) for k in range(12)]
    net.partial_fit(x, y)
    assert seen.rates_[-12:] == [schedule.lr(k / 4) for k in range(12, 24)]
