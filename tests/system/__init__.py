"""Tests of the real program, looked at from outside."""
