"""From recordings to the trials that networks read."""
