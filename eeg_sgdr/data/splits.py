"""Split of recordings into training and test, and of subjects into folds."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from eeg_sgdr.data.sources import Recording, find_label
from eeg_sgdr.errors import UserError
from eeg_sgdr.settings import Split, SubjectSplit
from eeg_sgdr.settings.types import label_order


@dataclass(frozen=True)
class Fold:
    """Labels of the training and the test subjects; ``label`` is the fold's number, from "1"."""

    label: str
    train: tuple[str, ...]
    test: tuple[str, ...]


def folds(split: SubjectSplit, subjects: Sequence[str]) -> list[Fold]:
    """Divide subjects into folds, independent of their order; in drawn folds, every subject tests once.

    Sizes of drawn folds differ by one at most. Raises UserError if there are fewer subjects than folds, or
    a list names a subject that is missing, or one twice.
    """
    ordered = sorted(subjects, key=label_order)
    if isinstance(split.folds, int):
        if split.folds > len(ordered):
            raise UserError(
                f"split.folds: {split.folds} are more than the {len(ordered)} subjects; ask for fewer."
            )
        shuffled = [ordered[i] for i in np.random.default_rng(split.seed).permutation(len(ordered))]
        tests = [set(shuffled[i :: split.folds]) for i in range(split.folds)]
    else:
        tests = [
            {find_label(name, ordered, "split.folds: subject") for name in names} for names in split.folds
        ]
        if sum(map(len, tests)) > len(set().union(*tests)):
            raise UserError("split.folds: a subject tests in two folds; name each once.")
        if any(len(test) == len(ordered) for test in tests):
            raise UserError("split.folds: a fold leaves no subject to train on; name fewer in it.")
    return [
        Fold(
            str(number),
            tuple(label for label in ordered if label not in test),
            tuple(label for label in ordered if label in test),
        )
        for number, test in enumerate(tests, start=1)
    ]


def split_recordings(split: Split | SubjectSplit, recordings: Sequence[Recording]) -> list[str]:
    """Part ("train" or "test") of each recording of a subject; with folds all are "train".

    Raises UserError if a run or session to be tested is missing, or nothing is left to train on.
    """
    if isinstance(split, SubjectSplit) or split.test is None:
        return ["train"] * len(recordings)
    labels = [getattr(recording, split.by) for recording in recordings]
    subject = recordings[0].subject if recordings else "?"
    test = {
        find_label(wanted, sorted(set(labels)), f"split.test: subject {subject}, {split.by}")
        for wanted in split.test
    }
    parts = ["test" if label in test else "train" for label in labels]
    if "train" not in parts:
        raise UserError(
            f"split.test: subject {subject} has no {split.by} left to train on; "
            f"name fewer of {', '.join(labels)}."
        )
    return parts
