"""A line whose seats are taken by the real Claude Code and Codex, from the command line."""

import json
import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import pytest

from stations.runtimes import claude_code, codex
from tests.run import ROOT, Child, end, run, start
from tests.scripted.messages import Asked, MessagesServer, Turn, answer, tool
from tests.scripted.responses import Asked as AskedCodex
from tests.scripted.responses import ResponsesServer
from tests.stations.benches import PATH, bearing, until
from tests.stations.gateways import installed
from tests.system.user import TESTS, User, job, station

KEY = "sk-canary-1c9f7708e2d6a4b3"
REPORT = {
    "status": "done",
    "summary": "A file was written.",
    "files": [],
    "tests_run": [],
    "risks": [],
    "needs_scope": [],
}
RUNTIMES = {"claude": "claude-code", "codex": "codex"}

ENDS = ("kill -9", "Ctrl-C twice", "factory kill")


@dataclass(frozen=True, kw_only=True)
class Desk:
    """A user with both programs, and what their models do."""

    user: User
    env: Mapping[str, str]
    messages: MessagesServer
    responses: ResponsesServer

    def stations(self, *programs: str) -> None:
        """Give each program a station and a job in it."""
        tables = [TESTS]
        for name, part in zip(programs, "ab", strict=False):
            agent = {"runtime": RUNTIMES[name], "model": "medium"}
            scope = [f"{part}/**"]
            tables.append(station(name, scope=scope, agent=agent, commands=[["sleep"]]))
            tables.append(job(f"by-{name}", "Write a file.", scope=scope))
        self.user.configure(*tables)

    def begin(self, *words: str) -> Child:
        """Start a command that goes on beside the test."""
        command = [*self.user.program, *words]
        return start(command, cwd=self.user.checkout, env={**self.user.env, **self.env})


@contextmanager
def desk(user: User, does: Callable[[int, str], Turn | None]) -> Iterator[Desk]:
    """Give a user with both programs; what they do at a turn is given, or they report."""
    places = dict.fromkeys(str(installed(program)) for program in RUNTIMES)

    def claude(asked: Asked) -> Turn:
        done = does(asked.turn, "claude")
        return tool("StructuredOutput", REPORT) if done is None else done

    def openai(asked: AskedCodex) -> Turn:
        done = does(asked.turn, "codex")
        return answer(REPORT) if done is None else done

    with MessagesServer(claude, key=KEY) as messages, ResponsesServer(openai, key=KEY) as responses:
        own = user.home / ".config/coding-agent-factory/factory.toml"
        own.parent.mkdir(parents=True, exist_ok=True)
        own.write_text(
            f'[provider.anthropic]\nbase_url = "{messages.url}"\nkey_env = "MY_KEY"\n'
            f'[provider.openai]\nbase_url = "{responses.url}/v1"\nkey_env = "MY_KEY"\n'
        )
        env = {"MY_KEY": KEY, "PATH": ":".join((*places, PATH))}
        yield Desk(user=user, env=env, messages=messages, responses=responses)


def command(program: str, line: str) -> Turn:
    """Have a program run a command."""
    if program == "claude":
        return tool("Bash", {"command": line, "timeout": 60_000})
    call = json.dumps({"cmd": line, "yield_time_ms": 60_000})
    return tool("exec", {"input": f"text(await tools.exec_command({call}))"})


def begins(program: str, user: User) -> Turn:
    """Have a program write its file in part a."""
    if program == "codex":
        return command(program, "echo begun > a/new.txt")
    path = f"{user.checkout}/a/new.txt"
    return tool("Edit", {"file_path": path, "old_string": "", "new_string": "begun\n"})


def test_one_line_drives_both_programs_and_what_they_wrote_lands(user: User) -> None:
    """Each is metered and recorded with its release, and the key is in nothing that is kept."""

    def does(number: int, program: str) -> Turn | None:
        if number:
            return None
        if program == "codex":
            return command("codex", "echo begun > b/new.txt")
        return begins(program, user)

    with desk(user, does) as made:
        made.stations("claude", "codex")
        rows = user.run(env=made.env)
        logs = {name: user.fac("logs", f"by-{name}").out for name in RUNTIMES}

    assert {row["state"] for row in rows.values()} == {"landed"}
    assert [user.at("main", f"{part}/new.txt") for part in "ab"] == ["begun"] * 2
    assert {row["spend"]["basis"] for row in rows.values()} == {"synthetic"}
    assert {row["spend"]["calls"] for row in rows.values()} == {2}
    assert f"claude {claude_code.PINNED}".encode() in logs["claude"]
    assert f"codex {codex.PINNED}".encode() in logs["codex"]
    found = run(["grep", "-rlaF", KEY, str(user.checkout)], check=False)
    assert found.text == ""


def test_the_script_installs_the_releases_that_the_runtimes_were_measured_with() -> None:
    """A pin stands in two places, which agree."""
    lines = (ROOT / "scripts" / "agents").read_text("utf-8").splitlines()

    assert f"claude={claude_code.PINNED}" in lines
    assert f"codex={codex.PINNED}" in lines


@pytest.mark.soak
@pytest.mark.parametrize("how", ENDS)
@pytest.mark.parametrize("program", RUNTIMES)
def test_however_it_ends_nothing_of_the_program_lives_on(
    program: str, how: str, user: User
) -> None:
    """Neither the program, its relay nor what it ran, even when nobody is left to end them."""
    nap = f"sleep 61{sorted(RUNTIMES).index(program)}{ENDS.index(how)}.75"
    over = threading.Event()

    def does(number: int, program: str) -> Turn | None:
        if number == 0:
            return begins(program, user)
        return command(program, nap) if number == 1 and not over.is_set() else None

    with desk(user, does) as made:
        made.stations(program)
        child = made.begin("run", "--trust", "--yes", "--json")
        try:
            assert until(lambda: bearing(f"^{nap}"), 40)
            over.set()
            match how:
                case "kill -9":
                    child.send_signal(signal.SIGKILL)
                case "Ctrl-C twice":
                    child.send_signal(signal.SIGINT)
                    threading.Event().wait(0.5)
                    child.send_signal(signal.SIGINT)
                case _:
                    user.fac("kill", f"by-{program}")
            out, _ = child.communicate(timeout=40)

            assert until(lambda: not bearing(nap), 10)
            assert until(lambda: not bearing(f"held-by-the-factory|{user.checkout}/"), 10)
            if how == "factory kill":
                row = json.loads(out)["jobs"][0]
                assert row["state"] != "landed"
                return
            rows = user.rows("resume", "--trust", env=made.env)
        finally:
            over.set()
            end(child)

    assert rows[f"by-{program}"]["state"] == "landed"
    assert user.at("main", "a/new.txt") == "begun"
