"""Runtimes: how an agent is driven inside its sandbox."""
