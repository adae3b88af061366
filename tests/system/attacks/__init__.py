"""Attacks by command agents: the scripts as data, and the harness that runs them."""
