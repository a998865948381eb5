"""The sub-commands of eeg-sgdr: options, examples, and what is called."""
