"""Test files: what they are called, in whatever language. Pure."""

from typing import Final

from worktrees.scope import allows

TESTS: Final = (
    *(
        "**/test/**",
        "**/tests/**",
        "**/spec/**",
        "**/specs/**",
        "**/__tests__/**",
        "**/testdata/**",
    ),
    *("test_*", "*_test.*", "*_tests.*", "*.test.*", "*.spec.*", "*_spec.*", "*Test.*", "*Tests.*"),
)
"""What a test file is called."""


def is_test(path: str) -> bool:
    """Say whether a file is called like a test, or lies where tests lie."""
    return allows(TESTS, path)
