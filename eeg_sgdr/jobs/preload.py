"""What worker processes have imported when they begin: imported once, before they are forked."""

import eeg_sgdr.data.trials
import eeg_sgdr.jobs.tasks  # noqa: F401
from eeg_sgdr.compat import import_braindecode

import_braindecode()
