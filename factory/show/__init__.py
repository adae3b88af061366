"""Draws a run: the same pure functions make the live page and the single-file report."""
