"""Tests of the Action: its roles, its files, and its own steps run by bash."""
