"""braindecode's networks, and how they are computed."""
