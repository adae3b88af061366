"""The real program with the real client against a strict scripted server: a model in the seat."""

import json
import signal
import threading
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from tests.run import Child, end, run, start
from tests.scripted.messages import (
    Asked,
    MessagesServer,
    finish,
    hang,
    status,
    text,
    tool,
)
from tests.system.user import TESTS, User, job, station

KEY = "sk-canary-7d21c0aa55e84b9f"
CODE = station("code", scope=["a/**", "b/**"], agent="sdk:medium")
WRITE = tool("write", {"path": "a/new.txt", "content": "made by a model\n"})
DONE = finish("done", "A file was written.", files=["a/new.txt"])


def writes(asked: Asked) -> object:
    """Write one file, then end."""
    return [WRITE, DONE][asked.turn]


def with_key(user: User, server: MessagesServer) -> Mapping[str, str]:
    """Let the user's own file name the server and the variable; give what the shell exports."""
    place = user.home / ".config/coding-agent-factory"
    place.mkdir(parents=True, exist_ok=True)
    (place / "factory.toml").write_text(
        f'[provider.anthropic]\nbase_url = "{server.url}"\nkey_env = "MY_KEY"\n'
    )
    return {"MY_KEY": KEY}


def begin(user: User, *words: str, env: Mapping[str, str]) -> Child:
    """Start a command that goes on beside the test."""
    return start([*user.program, *words], cwd=user.checkout, env={**user.env, **env})


def soon(true: Callable[[], object], what: str) -> None:
    """Wait until something is so, for a while at most."""
    for _ in range(600):
        if true():
            return
        threading.Event().wait(0.05)
    pytest.fail(f"not seen in time: {what}")


def kept(user: User) -> bytes:
    """Give every byte of the factory's directory and of all objects of the repository."""
    files = [path for path in (user.checkout / ".git/factory").rglob("*") if path.is_file()]
    objects = run(
        ["git", "cat-file", "--batch", "--batch-all-objects"], cwd=user.checkout, timeout=30
    )
    return b"".join(path.read_bytes() for path in files) + objects.out


def test_without_any_configuration_a_text_and_a_key_make_a_change(user: User) -> None:
    """`factory run TEXT` lands a model's work; its spend is stamped and the key is nowhere."""
    with MessagesServer(writes, key=KEY) as server:
        env = with_key(user, server)

        ran = user.fac("run", "Write a new file into a", "--json", env=env)

        document = json.loads(ran.out)
        seen = [request.model for request in server.requests]
    (row,) = document["jobs"]
    assert (row["state"], row["attempts"]) == ("landed", 1)
    assert user.at(document["tip"], "a/new.txt") == "made by a model"
    assert seen == ["claude-sonnet-5-5"] * 2
    assert document["spend"] == {**row["spend"], "seconds": document["spend"]["seconds"]}
    assert (row["spend"]["basis"], row["spend"]["calls"]) == ("synthetic", 2)
    assert row["spend"]["tokens_in"] > 500
    report = user.fac("report")
    logs = user.fac("logs", row["id"])
    assert b"synthetic: a server on this machine answered" in report.out
    assert b"claude-sonnet-5-5" in report.out
    assert b"tool       write a/new.txt" in logs.out
    secret = KEY.encode()
    assert secret not in kept(user) + ran.out + ran.err + report.out + logs.out


def test_a_budget_that_is_reached_stops_and_a_larger_one_goes_on(user: User) -> None:
    """Exit code 3 before the call that would overdraw it; the resume lands the same job."""
    user.configure(CODE, TESTS, job("one", "Write a new file.", scope=["a/**"]))
    with MessagesServer(writes, key=KEY) as server:
        env = with_key(user, server)

        ran = user.fac("run", "--trust", "--json", "--budget", "3k", code=3, env=env)
        first = {row["id"]: row for row in json.loads(ran.out)["jobs"]}
        asked = len(server.requests)
        rows = user.rows("resume", "--trust", "--budget", "5M", env=env)

    assert (first["one"]["state"], asked) == ("waiting", 0)
    assert b"`factory resume` goes on from here (`--budget LIMITS`" in ran.err
    assert (rows["one"]["state"], rows["one"]["spend"]["calls"]) == ("landed", 2)
    assert user.at("main", "a/new.txt") == "made by a model"


def test_after_a_kill_in_a_call_the_run_goes_on_and_counts_each_call_once(user: User) -> None:
    """The call that kill -9 cut counts in full, said once; the resume adds only its own calls."""
    user.configure(CODE, TESTS, job("one", "Write a new file.", scope=["a/**"]))
    killed = threading.Event()

    def script(asked: Asked) -> object:
        if asked.turn == 1 and not killed.is_set():
            return hang()
        return writes(asked)

    with MessagesServer(script, key=KEY) as server:
        env = with_key(user, server)
        child = begin(user, "run", "--trust", "--yes", "--json", env=env)
        try:
            soon(lambda: len(server.requests) == 2, "the second call")
            before = user.document("status", schema="factory.status/1")["spend"]
            child.send_signal(signal.SIGKILL)
            child.wait()
        finally:
            killed.set()
            end(child)
        after = user.document("status", schema="factory.status/1")["spend"]
        rows = user.rows("resume", "--trust", env=env)
        events = user.fac("events").out.decode()

    assert (before["calls"], after["calls"]) == (1, 2)
    assert after["tokens_out"] - before["tokens_out"] == server.requests[1].body["max_tokens"]
    assert events.count("1 call under way when the factory was killed") == 1
    noted = server.requests[2].first
    assert "did is NOT in the tree" in noted
    assert "made a/new.txt" in noted
    assert rows["one"]["state"] == "landed"
    assert rows["one"]["spend"]["calls"] == len(server.requests)
    assert rows["one"]["spend"]["tokens_in"] > after["tokens_in"]


def test_without_a_key_nothing_starts_and_the_remedy_is_said(user: User) -> None:
    """The variable, the station and what to do are named; no run is placed; exit code 7."""
    user.configure(CODE, TESTS, job("one", "Write a new file.", scope=["a/**"]))

    ran = user.fac("run", "--trust", "--yes", code=7)
    doctor = user.document("doctor", schema="factory.doctor/1", code=7)

    for word in (b"station code", b"ANTHROPIC_API_KEY", b"key_env", b'runtime = "command"'):
        assert word in ran.err
    assert user.document("resume", schema="factory.run/1")["run"] is None
    findings = {each["name"]: each for each in doctor["findings"]}
    assert "absent" in findings["provider anthropic"]["detail"]


def test_a_split_without_a_reply_says_why_what_it_cost_and_what_to_do(user: User) -> None:
    """Each reason has its exit code and remedy; an answer that is of no use was paid for."""
    with MessagesServer(lambda _asked: text("I would rather talk."), key=KEY) as server:
        env = with_key(user, server)

        poor = user.fac("split", "Add PUT", "--budget", "0.0001", code=3, env=env)
        useless = user.fac("split", "Add PUT", code=1, env=env)

    assert b"a larger --budget" in poor.err
    assert b"asking claude-opus-5-5" in useless.err
    assert b"2 calls to claude-opus-5-5" in useless.err
    assert b"synthetic" in useless.err


@pytest.mark.soak
def test_a_refused_key_ends_the_run_at_once(user: User) -> None:
    """401 is not tried again: one call, exit code 7, and the job waits for a resume."""
    user.configure(CODE, TESTS, job("one", "Write a new file.", scope=["a/**"]))
    with MessagesServer(lambda _asked: status(401)) as server:
        env = with_key(user, server)

        rows = user.run(code=7, env=env)

        assert len(server.requests) == 1
    assert rows["one"]["state"] == "waiting"


@pytest.mark.soak
def test_a_word_from_another_terminal_reaches_the_model(user: User) -> None:
    """`tell` is part of the next message of the session under way; `logs -f` shows the steps."""
    user.configure(CODE, TESTS, job("one", "Write a new file.", scope=["a/**"]))
    told = threading.Event()

    def script(asked: Asked) -> object:
        if asked.turn == 0:
            told.wait(20)
            return tool("read", {"path": "a/x.txt"})
        return [text("?"), WRITE, DONE][asked.turn]

    with MessagesServer(script, key=KEY) as server:
        env = with_key(user, server)
        child = begin(user, "run", "--trust", "--yes", "--json", env=env)
        try:
            soon(lambda: server.requests, "the first call")
            follower = begin(user, "logs", "one", "-f", env={})
            user.fac("tell", "one", "use the second form")
            threading.Event().wait(1.0)  # the floor looks four times a second
            told.set()
            out, _ = child.communicate(timeout=40)
            lines, _ = follower.communicate(timeout=20)
        finally:
            told.set()
            end(child)

        heard = [request.last for request in server.requests]
    assert json.loads(out)["jobs"][0]["state"] == "landed"
    assert "use the second form" in heard[1]
    assert b"told" in lines
    assert b"finished" in lines


@pytest.mark.soak
def test_setup_runs_before_a_model_and_both_work_in_one_run(user: User, tmp_path: Path) -> None:
    """What `[env] setup` makes is there for the commands of a model's station."""
    del tmp_path
    user.configure(
        station("code", scope=["a/**"], agent="sdk:medium", commands=[["test", "-e", "made/by"]]),
        TESTS,
        '[env]\nsetup = ["sh", "-c", "mkdir -p made && touch made/by"]\n'
        'key = ["check.sh"]\nshare = ["made"]\n',
        job("one", "Write a new file.", scope=["a/**"]),
    )
    steps = [tool("run", {"name": "test", "timeout_s": 20}), WRITE, DONE]
    with MessagesServer(lambda asked: steps[asked.turn], key=KEY) as server:
        rows = user.run(env=with_key(user, server))

        said = server.requests[1].answers
    assert rows["one"]["state"] == "landed"
    assert "exit 0" in said[0]
