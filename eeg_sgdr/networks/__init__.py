"""braindecode's networks and their forward computations."""
