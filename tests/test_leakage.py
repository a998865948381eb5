"""From recordings to test errors: networks and baseline know of the test trials only what training tells."""

import numpy as np
import pytest
from conftest import make_raw, make_settings
from scipy.stats import binomtest

from eeg_sgdr.data.sources import Recording
from eeg_sgdr.data.trials import make_trials
from eeg_sgdr.schedules import Step
from eeg_sgdr.training import baseline
from eeg_sgdr.training.loop import Data, fit

N_TRIALS, N_PERMUTATIONS = 20, 10
OTHER = {"l": "r", "r": "l"}


def relabelled(raw, permutation):
    """Half of the cues of each class, drawn by chance, bear the other's name.

    So labels have nothing to do with the classes; permuted freely they would correlate with them a little,
    and networks that tell the classes apart would learn it.
    """
    rng = np.random.default_rng(permutation)
    cues = raw.annotations.description.copy()
    for cue, other in OTHER.items():
        half = rng.permutation(np.flatnonzero(cues == cue))[: (cues == cue).sum() // 2]
        raw.annotations.description[half] = other
    return raw


def network(trials, settings):
    data = Data(trials.train.x, trials.train.y, trials.test.x, 2, trials.info["sfreq"])
    result = fit(data, settings.network, settings.training, Step(0.05, 4), seed=0)
    return result.scores[4].probabilities


def classical(trials, settings):
    model = baseline.fit(trials.train.covariances, trials.train.y)
    return baseline.predict_proba(model, trials.test.covariances)


def wrong(predict, permutation=None):
    settings = make_settings()
    raws = [make_raw(N_TRIALS, seed=run) for run in range(3)]
    if permutation is not None:
        raws[:2] = [relabelled(raw, [permutation, run]) for run, raw in enumerate(raws[:2])]
    trials = make_trials([Recording("1", "0", str(run), raw) for run, raw in enumerate(raws)], settings)
    return int((predict(trials, settings).argmax(axis=1) != trials.test.y).sum())


def is_better_than_chance(n_right, n):
    return binomtest(n_right, n, 0.5, "greater").pvalue < 0.05


@pytest.mark.parametrize("predict", [network, classical])
def test_without_true_labels_to_train_on_test_errors_are_at_chance(predict):
    assert is_better_than_chance(N_TRIALS - wrong(predict), N_TRIALS), "with true labels"
    # Predictions of one network depend on each other: networks are counted, not trials.
    n_better = sum(wrong(predict, i) < N_TRIALS / 2 for i in range(N_PERMUTATIONS))
    assert not is_better_than_chance(n_better, N_PERMUTATIONS)
