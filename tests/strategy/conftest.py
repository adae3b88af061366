"""What the tests of the strategy share."""

from pathlib import Path

import pytest

from tests.factory.loading import Load
from tests.survey.scenes import Bench


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    """Give a place where a model is asked."""
    place = tmp_path / "kept"
    place.mkdir()
    return Bench(load=Load(tmp_path), place=place, said=[])
