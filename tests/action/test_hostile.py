"""Hostile agents in the agent's role: no secret comes out, and each bad change has a named end."""

from pathlib import Path

import pytest

from tests.action.hostile import ATTACKS, PLANTED, Attack, attacked


@pytest.mark.soak
@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.name)
def test_a_hostile_agent_takes_nothing_out(attack: Attack, tmp_path: Path) -> None:
    """No secret is in a bundle, log, summary, output, commit or comment, and nobody was called."""
    seen = attacked(attack, tmp_path)

    assert seen.leaks == ()
    assert seen.calls == 0
    if attack.ends:
        assert seen.agent["status"] == "failed"
        assert attack.ends in seen.agent["why"], seen.agent["why"]
        assert not seen.agent["bundle-sha256"]
    else:
        assert seen.apply["status"] == "changed", seen.ended


@pytest.mark.soak
def test_a_secret_that_came_out_would_be_found(tmp_path: Path) -> None:
    """A planted key is seen by the search, and refused in a change by name."""
    seen = attacked(PLANTED, tmp_path)

    assert seen.leaks
    assert PLANTED.ends in seen.agent["why"]
