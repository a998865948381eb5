"""A schedule kind and a source of recordings, defined outside the package (tests/test_extension.py)."""

from dataclasses import dataclass
from typing import ClassVar, Literal

from conftest import make_raw

from eeg_sgdr.data.sources import Recording, Source
from eeg_sgdr.settings import Arm, Recordings
from eeg_sgdr.settings.arms import Budgets


# What goes into eeg_sgdr/schedules.py ...
@dataclass(frozen=True)
class Quadratic:
    """The rate falls along a parabola to zero."""

    initial_rate: float
    budget: int

    @property
    def ends(self):
        return (self.budget,)

    def lr(self, epoch):
        return self.initial_rate * (1 - epoch / self.budget) ** 2


# ... and into eeg_sgdr/settings/arms.py.
class QuadraticArm(Arm):
    """The rate falls along a parabola to zero."""

    references: ClassVar[tuple[str, ...]] = ("Nobody, N. (1999). On parabolas. Journal of Tests 1, 1-2.",)

    kind: Literal["quadratic"]
    budgets: Budgets

    def schedule(self, rate, budget):
        return Quadratic(rate, budget)

    def describe(self):
        return f"fell along a parabola to zero (Nobody, 1999) over budgets of {self.budgets[0]} epochs."


# What goes into a file of eeg_sgdr/data/sources ...
class Generated(Source):
    """Noise with a rhythm, made when it is read."""

    def __init__(self, settings, data_dir):
        self.settings = settings

    def subjects(self):
        return ["1", "2"]

    def files(self, subject):
        return {}

    def recordings(self, subject):
        for run in ("1", "2"):
            seed = self.settings.seed + 2 * int(subject) + int(run)
            yield Recording(subject, "0", run, make_raw(seed=seed))


# ... and into eeg_sgdr/settings/recordings.py.
class GeneratedRecordings(Recordings):
    """Noise with a rhythm."""

    reader: ClassVar[str] = "extension:Generated"

    source: Literal["generated"]
    seed: int = 0

    def describe(self, people):
        return f"Rhythms in noise (seed {self.seed}) stood for {people}."
