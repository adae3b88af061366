"""What the tests of surveys share."""

from pathlib import Path

import pytest

from tests.survey.scenes import Bench


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    """Give a place to conclude surveys in."""
    return Bench.at(tmp_path)
