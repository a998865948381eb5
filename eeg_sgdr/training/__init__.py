"""From trials to snapshots."""
