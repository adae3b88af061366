"""The configuration behind `factory.settings`: files and flags, read, checked and merged."""
