"""Imports of worker processes, made once before they are forked."""

import gc

gc.disable()  # nothing of what is imported is garbage

import safetensors.torch  # noqa: E402, F401

from eeg_sgdr.compat import import_braindecode  # noqa: E402

import_braindecode()
gc.freeze()  # nor looked at, and its memory stays shared, in workers
gc.enable()
