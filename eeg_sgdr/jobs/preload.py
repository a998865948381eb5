"""Imports of worker processes, made once before they are forked."""

import safetensors.torch  # noqa: F401

from eeg_sgdr.compat import import_braindecode

import_braindecode()
