"""Stations: where one kind of work is done in a sandbox. Knows work trees, nothing of the line."""
