"""What worker processes have imported when they begin: imported once, before they are forked."""

import eeg_sgdr.tasks
import eeg_sgdr.trials  # noqa: F401
from eeg_sgdr.compat import import_braindecode

import_braindecode()
