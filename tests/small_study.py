"""One small study of simulated recordings, trained from end to end."""

from eeg_sgdr import settings as config
from eeg_sgdr.evaluation.stored import evaluate
from eeg_sgdr.jobs.submit import Jobs
from eeg_sgdr.jobs.units import check_same, open_units, write_trials
from eeg_sgdr.parallel.workers import local_pool
from eeg_sgdr.pipeline import record_settings
from eeg_sgdr.storage import folders

STUDY = {
    "name": "small",
    "recordings": {"source": "simulated", "n_subjects": 2, "n_runs": 2, "n_trials": 12},
    "split": {"by": "run", "test": ["02"]},
    "preprocessing": {"sensors": ["C3", "FCC1h", "C4"], "resample_hz": 100, "reject_uv": None,
                      "standardize": {"init_samples": 400}},
    "network": {"crop_samples": 400, "arguments": {"final_conv_length": 4}},
    "training": {"batch_size": 5, "initial_rates": [0.025, 0.05]},
    "schedules": {"step": {"kind": "step", "budgets": [2, 3]},
                  "restarts": {"kind": "warm_restarts", "epochs": 3}},
}  # fmt: skip


def configuration(**changes):
    """The study's configuration with other sections, key by key; None leaves a section out."""
    merged = {name: change and {**STUDY.get(name, {}), **change} for name, change in changes.items()}
    return {**STUDY, **merged}


def run(data_dir, out, jobs=1, **changes):
    """Make what is missing of the first subject, and read it."""
    settings = config.validate(configuration(compute={"data_dir": str(data_dir)}, **changes), "test")
    study = folders.Study(out)
    (unit,) = open_units(settings, study, ["1"])
    record_settings(unit.settings, study)
    check_same(unit)
    write_trials(unit)
    with local_pool(jobs) as pool:
        under_way = Jobs(pool, data_dir)
        under_way.begin(unit)
        assert list(under_way.completed()) == [unit]
    assert unit.failure is None
    subject = unit.results()
    evaluate(subject, unit.settings)
    return subject
