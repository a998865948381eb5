"""Which recordings train and which test."""

from collections.abc import Sequence

from eeg_sgdr.errors import UserError
from eeg_sgdr.recordings import Recording, find_label
from eeg_sgdr.settings import Split


def assign(split: Split, recordings: Sequence[Recording]) -> list[str]:
    """Assign whole recordings to training or testing.

    Parameters
    ----------
    split : Split
        What is held out.
    recordings : sequence of Recording
        All recordings of a subject.

    Returns
    -------
    parts : list of "train" or "test"
        One for each recording.

    Raises
    ------
    UserError
        If a run or session to be tested is not there, or nothing is left to train on.
    """
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
