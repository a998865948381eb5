"""Fits on workers."""
