"""Tests of the page and the single-file report."""
