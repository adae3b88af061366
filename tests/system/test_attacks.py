"""Attacks by command agents through the real command line, honest jobs at work beside them."""

from collections.abc import Mapping
from itertools import islice
from pathlib import Path

import pytest

from tests.system.attacks import scripts
from tests.system.attacks.harness import arena
from tests.system.attacks.scripts import Attack


def half(attacks: Mapping[str, Attack], which: int) -> Mapping[str, Attack]:
    """Give every second attack."""
    return dict(islice(attacks.items(), which, None, 2))


GROUPS: Mapping[str, Mapping[str, Attack]] = {
    "git, even": half(scripts.GIT, 0),
    "git, odd": half(scripts.GIT, 1),
    "escapes, even": half(scripts.ESCAPES, 0),
    "escapes, odd": half(scripts.ESCAPES, 1),
    "whole tree": scripts.ROOT,
    "claims": scripts.CLAIMS,
    "hostile tests": scripts.TESTS,
    "bombs": scripts.BOMBS,
}


@pytest.mark.timeout(120)
@pytest.mark.parametrize("group", GROUPS)
def test_an_attack_ends_named_and_the_host_is_whole(tmp_path: Path, group: str) -> None:
    """Nothing of an agent runs on the host; its job ends as it must, honest work lands beside it."""
    with arena(tmp_path, GROUPS[group]) as found:
        document = found.run(timeout=110)

        found.judge(document)
