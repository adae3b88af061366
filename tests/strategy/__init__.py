"""The tests of the strategy and its plan."""
