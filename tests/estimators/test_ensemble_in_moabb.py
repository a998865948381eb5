"""The estimator as a pipeline of MOABB's evaluations, on real recordings."""

import numpy as np
import pytest
from documents import block
from moabb.datasets import PhysionetMI
from moabb.evaluations import CrossSubjectEvaluation
from moabb.paradigms import LeftRightImagery
from sklearn.metrics import roc_auc_score

from eeg_sgdr.estimators.ensemble import SnapshotEnsembleClassifier
from eeg_sgdr.schedules import WarmRestarts

pytestmark = pytest.mark.recordings


class Fists(PhysionetMI):
    def __init__(self):
        super().__init__(subjects=[1, 2, 3, 4, 5])
        self.feet_runs = []


@pytest.fixture(autouse=True)
def folder_of_its_own(offline, recordings_folder, tmp_path, monkeypatch):
    """MOABB finds its files, or fails at once; what it writes is in a folder of the test's own."""
    monkeypatch.setenv("MOABB_DOWNLOAD_PROVIDER", "upstream")
    monkeypatch.setenv("_MNE_FAKE_HOME_DIR", str(tmp_path))
    monkeypatch.chdir(tmp_path)


def test_within_a_session_as_the_page_shows(tmp_path):
    names = {}
    exec(block("WithinSessionEvaluation", "moabb"), names)
    scores = names["scores"].set_index("pipeline")
    assert set(scores.index) == {"restarts", "step"}
    assert set(scores["samples"]) == {45}
    assert scores["score"].gt(0.7).all()
    assert len(list((tmp_path / "results" / "moabb").rglob("*.hdf5"))) == 1


def test_across_subjects_on_epochs(tmp_path):
    ours = SnapshotEnsembleClassifier("ShallowFBCSPNet", WarmRestarts(0.05, budget=3), batch_size=30)
    paradigm, dataset = LeftRightImagery(resample=80, channels=["C3", "Cz", "C4"]), Fists()
    evaluation = CrossSubjectEvaluation(
        paradigm, [dataset], return_epochs=True, hdf5_path=str(tmp_path), random_state=0
    )
    scores = evaluation.process({"restarts": ours}).set_index("subject")
    assert list(scores.index) == ["1", "2", "3", "4", "5"]
    windows, classes, people = paradigm.get_data(dataset, [1, 2, 3, 4, 5])
    tests = people["subject"] == 3
    assert scores.loc["3", ["samples", "samples_test"]].tolist() == [(~tests).sum(), tests.sum()]
    ours.fit(windows[~tests], classes[~tests])
    expected = roc_auc_score(classes[tests] == ours.classes_[1], ours.predict_proba(windows[tests])[:, 1])
    np.testing.assert_allclose(scores.loc["3", "score"], expected, rtol=1e-6)
