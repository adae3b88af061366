"""Notices of real runs: at least once, whatever kills the process that tells them."""

import os
import re
import signal
from collections.abc import Mapping

import pytest

from factory.balancing import seeded
from factory.ledger import Ledger
from factory.notices import Notices
from tests.factory.hooks import Heard, hook
from tests.run import environment, finished
from tests.system.user import CODE, ONE, TESTS, User, job, table
from tests.terminal import terminal
from tests.warm import Warm
from worktrees.names import RunId

VARIABLE = "HOOK_TOKEN"


def due(user: User) -> set[int]:
    """Give the positions of all that a person should have heard of."""
    found: set[int] = set()
    runs: dict[RunId, Notices] = {}
    with Ledger(user.checkout / ".git" / "factory" / "ledger.sqlite", read_only=True) as ledger:
        for record in ledger.records():
            run = runs.setdefault(record.run, Notices(seeded))
            told = run.take(record.event, record.at, run=record.run, seq=record.seq)
            found |= {notice.seq for notice in told}
    return found


def heard(there: Heard) -> list[int]:
    """Give the positions of all notices that were posted, in order."""
    return [notice["seq"] for body in there.bodies for notice in body["notices"]]


def test_a_kill_while_it_tells_loses_no_notice(user: User) -> None:
    """Killed in the middle of a message, the next process tells it again, and all the rest."""
    with hook() as there:
        user.configure(
            table("[notify]", webhook_env="HOOK", token_env=VARIABLE),
            *(CODE, TESTS, job("one", **ONE), job("bad", "echo no >&2; exit 3", scope=["b/**"])),
        )
        env: Mapping[str, str] = {"HOOK": there.address, VARIABLE: "hush-hush"}
        words = ("run", "--trust", "--yes")
        child = Warm(words, cwd=user.checkout, env=environment(**user.env, **env))
        there.before = lambda _body: os.kill(child.pid, signal.SIGKILL)
        assert finished(child, words, timeout=60, check=False).code == -signal.SIGKILL
        first = heard(there)
        there.before = lambda _body: None

        ran = user.fac("resume", "--trust", env=env, code=None)

        assert set(first) <= set(heard(there)[len(first) :])
        assert set(heard(there)) == due(user)
        assert set(there.tokens) == {"Bearer hush-hush"}
        assert b"hush-hush" not in ran.out + ran.err
        assert b"address-secret" not in ran.out + ran.err


def test_a_variable_that_holds_nothing_stops_before_anything_is_placed(user: User) -> None:
    """The error names the key and the variable; no run begins that could not be told of."""
    user.configure(table("[notify]", webhook_env="NO_SUCH_HOOK"), CODE, TESTS, job("one", **ONE))

    ran = user.fac("run", "--trust", "--yes", code=2)

    assert b"[notify] webhook_env names NO_SUCH_HOOK, which holds nothing" in ran.err
    assert b"no run yet" in user.fac("status", code=2).err


@pytest.mark.soak
def test_a_terminal_gets_its_notice_whole_beside_the_board(user: User) -> None:
    """What the terminal is to show on its own comes in one piece, whatever is drawn meanwhile."""
    user.configure(
        *(table("[notify]", terminal="osc9"), CODE, TESTS),
        job("asks", "echo > c/conftest.py", scope=["c/**"]),
    )
    words = [*user.program, "run", "--trust", "--yes"]

    with terminal(words, cwd=user.checkout, env=user.env) as seen:
        assert seen.ended() == 4

    rung = re.findall(rb"\x1b\]9;([^\x07]*)\x07", seen.raw)
    assert len(rung) == 2
    assert re.fullmatch(rb"factory, run [0-9a-f-]+: 1 job waits for you \(asks\), .*", rung[0])
    assert rung[1].endswith(b"ended: 1 waiting for you")
