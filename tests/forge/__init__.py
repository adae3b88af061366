"""A GitHub of the tests' own on 127.0.0.1: real HTTP, real git, judged by GitHub's own schemas."""
