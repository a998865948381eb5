"""What reports say only across subjects: who trains and tests, and what holds of the people tested."""

from collections.abc import Collection, Sequence

from eeg_sgdr.comparison.tested import GIVEN_NETWORKS
from eeg_sgdr.pages import numbers
from eeg_sgdr.pages.answers import Answer
from eeg_sgdr.pages.markup import folded, paragraphs, table
from eeg_sgdr.pages.tested import pair
from eeg_sgdr.pages.wording import counted, joined
from eeg_sgdr.subjects import Subject


def membership(folds: Sequence[Subject]) -> str:
    """Which subjects test in each fold, how many train, and whose recordings were resampled.

    Parameters
    ----------
    folds : sequence of Subject
        At least one.
    """
    rows = [
        [fold.label, ", ".join(fold.test_subjects), *(str(len(labels)) for labels in _sides(fold))]
        for fold in folds
    ]
    header = ["Fold", "Subjects that test", "How many test", "How many train"]
    caption = (
        "In each fold all other subjects train: nothing of a subject that tests is in what its fold's "
        "networks were trained on."
    )
    return table(header, rows, caption) + paragraphs(other_rates(folds[0]))


def who(fold: Subject) -> str:
    """Every subject that tests and that trains in one fold, and whose recordings were resampled."""
    rows = [
        [part, str(len(labels)), ", ".join(labels)]
        for part, labels in zip(("test", "train"), _sides(fold), strict=True)
    ]
    caption = "Nothing of the subjects that test is in what the networks were trained on."
    return table(["Split", "How many", "Subjects"], rows, caption) + paragraphs(other_rates(fold))


def _sides(fold: Subject) -> tuple[list[str], list[str]]:
    return fold.test_subjects, fold.data["train_subjects"]


def other_rates(fold: Subject) -> list[str]:
    """Names the subjects whose recordings had to be resampled; nothing where there are none."""
    by_rate: dict[float, dict[str, None]] = {}
    for run, rate in fold.data["resampled"].items():
        # Runs are named subject/session/run.
        by_rate.setdefault(rate, {})[run.split("/")[0]] = None
    if not by_rate:
        return []
    n_people = sum(map(len, _sides(fold)))
    named = [
        f"{_people(labels, n_people)} (recorded at {rate:g} Hz)" for rate, labels in sorted(by_rate.items())
    ]
    return [f"Resampled to {fold.data['sfreq']:g} Hz: {'; '.join(named)}."]


def _people(labels: Collection[str], n_people: int) -> str:
    if len(labels) == n_people:
        return "all subjects"
    return f"{'subject' if len(labels) == 1 else 'subjects'} {joined(labels)}"


def people(found: Sequence[Answer]) -> str:
    """Every comparison over the subjects that were tested, and their errors; no finding rests on it.

    Parameters
    ----------
    found : sequence of Answer
        The comparisons of a study across subjects.
    """
    answered = [answer for answer in found if not answer.left_out]
    rows = []
    for answer in answered:
        row = answer.rows[GIVEN_NETWORKS]
        rows.append(
            [
                answer.comparison.name,
                numbers.points(row),
                numbers.interval(row),
                numbers.p(row),
                numbers.tally(row),
                *numbers.basis(row),
            ]
        )
    header = ["Comparison (a against b)", "Mean difference (points)", "95 % interval, t", "Sign-flip test"]
    header += ["Better : equal : worse", "Subjects", "Seeds", "Missing"]
    return table(
        header,
        rows,
        "Over subjects, given these trained networks: this speaks of other people whom the same networks "
        "decode, not of networks trained anew.",
    ) + paragraphs(
        [
            "Read as if it spoke of networks trained anew, this test would find too much: subjects of a fold "
            "share their networks, so they are no independent observations. It is not corrected for the "
            "number of comparisons, and what is said of the folds does not rest on it."
        ]
    )


def errors(found: Sequence[Answer], labels: Sequence[str]) -> str:
    """Both sides' error in every subject that was tested, to be opened."""
    answered = [answer for answer in found if not answer.left_out]
    rows = [[label, *(pair(answer, f"subject {label}") for answer in answered)] for label in labels]
    return folded(
        f"Errors of {counted(len(labels), 'subject')}",
        table(
            ["Subject", *(answer.comparison.name for answer in answered)],
            rows,
            "Mean error of each subject over seeds (and rates, where a comparison goes rate by rate), in "
            "percent, as a : b, by the networks of the fold in which it tests.",
        ),
    )
