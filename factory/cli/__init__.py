"""The command line: what a person types, turned into calls; the only place with exit codes."""
