"""Fits and baselines made by workers."""
