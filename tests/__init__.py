"""The tests mirror the packages; `system` runs the real program."""
