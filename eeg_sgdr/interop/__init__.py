"""Adapters to other libraries: schedules in their training loops, results as their tables."""
