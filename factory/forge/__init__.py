"""Forge: the one place that speaks with GitHub, and what is decided about what it says."""
