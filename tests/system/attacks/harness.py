"""Runs groups of attacks beside honest jobs through the real command line, and judges what came."""

import fnmatch
import json
import re
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

from tests.conftest import make_repository
from tests.run import Ran, run
from tests.system.attacks.scripts import HONEST, Attack
from tests.system.outside import Before, check, remember
from tests.system.sites import SECRET, Plan, Toy, report

AGENT: Final = "J=jobs/$FACTORY_JOB; export J; exec sh -eu attacks/$FACTORY_JOB.sh\n"
CHECKS: Final = (
    "git status >/dev/null; git diff HEAD~1 >/dev/null; git log -p -1 >/dev/null\n"
    "if test -f pytest.py; then python3 -m pytest; fi; python3 -c 'import json, site'\n"
    "for file in jobs/*/check.sh; do if test -f $file; then sh $file || exit 1; fi; done\n"
    "for file in jobs/*/x.txt; do test -s $file || exit 1; done\n"
)
HONEST_JOBS: Final[Mapping[str, Attack]] = {
    name: Attack(script=HONEST) for name in ("honest-a", "honest-b")
}
UNSAFE: Final = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
"""What no output of ours may hold when an agent chose the words."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Arena:
    """A repository whose jobs are attacks, and the things outside that they may not touch."""

    toy: Toy
    attacks: Mapping[str, Attack]
    owned: Path
    victim: Path
    before: Before
    listeners: tuple[socket.socket, ...]

    def run(self, *, timeout: float = 55) -> dict[str, Any]:
        """Run all jobs once and give the document."""
        words = ("run", "--yes", "--trust", "--json")
        ran = self.toy.factory(*words, timeout=timeout)
        assert b"Traceback" not in ran.err, ran.err.decode()
        assert SECRET.encode() not in ran.out + ran.err
        assert not UNSAFE.search(ran.err.decode()), ran.err
        return report(ran)

    def say(self, *words: str) -> Ran:
        """Type another command; what it says is safe to show."""
        ran = self.toy.factory(*words)
        said = (ran.out + ran.err).decode()
        assert "Traceback" not in said, said
        assert SECRET not in said
        assert not UNSAFE.search(said), (words, said)
        return ran

    def judge(self, document: Mapping[str, Any]) -> None:
        """Assert that the host is whole, honest work landed, and each attack ended as it must."""
        waiting = {row["id"] for row in document["jobs"] if row["state"] == "waiting"}
        # What is kept for a person may be too deep to be looked through.
        run(["rm", "-rf", "--", *self.toy.common.glob("factory/runs/*/*/*/tree-*")])
        faults = [*self._ends(document), *self.host()]
        assert not faults, "\n".join(faults)
        check(self.toy, self.before, document, waiting=waiting)

    def host(self) -> Iterator[str]:
        """Say what of the host an attack has reached."""
        for path in sorted(self.owned.rglob("*")):
            yield f"the host executed something: {path.name}"
        if self.victim.read_text() != "whole":
            yield "the victim was written"
        for listener in self.listeners:
            try:
                listener.accept()[0].close()
            except BlockingIOError:
                continue
            yield f"somebody called {listener.getsockname()!r}"
        for path in self.toy.common.rglob("*"):
            if path.is_file() and path.name == "output.log" and path.stat().st_size > 4 << 20:
                yield f"{path} has {path.stat().st_size} bytes"

    def _ends(self, document: Mapping[str, Any]) -> Iterator[str]:
        rows = {row["id"]: row for row in document["jobs"]}
        changed = self.toy.git(
            "-c", "core.quotePath=false", "diff", "--no-renames", "--name-only",
            self.before.tip, self.toy.target,
        ).text.splitlines()  # fmt: skip
        allowed: list[str] = []
        for name, attack in self.attacks.items():
            row = rows[name]
            said = row["reason"] or ""
            if row["state"] != attack.state:
                yield f"{name}: {row['state']} instead of {attack.state}: {said}"
            if not re.search(attack.said, said):
                yield f"{name}: its reason does not say {attack.said!r}: {said}"
            if attack.state != "landed" and not said:
                yield f"{name}: it has no reason"
            if UNSAFE.search(said):
                yield f"{name}: its reason is unsafe: {said!r}"
            if attack.state == "landed":
                allowed += [f"jobs/{name}/{path}" for path in attack.lands]
                if f"jobs/{name}/{attack.lands[0]}" not in changed:
                    yield f"{name}: its honest part did not land"
        for path in changed:
            if not any(fnmatch.fnmatchcase(path, pattern) for pattern in allowed):
                yield f"{path} is on the target"


@contextmanager
def arena(place: Path, attacks: Mapping[str, Attack], *, engine: str = "") -> Iterator[Arena]:
    """Give an arena in a fresh directory; with the address of an ``engine`` all runs in docker."""
    checkout, owned, victim = place / "repo", place / "owned", place / "victim"
    owned.mkdir()
    victim.write_text("whole")
    every = {**HONEST_JOBS, **attacks}
    with _listeners() as (tcp, unix):
        marker = f"marker-{uuid4().hex}"
        words = {
            "@OWNED@": str(owned),
            "@VICTIM@": str(victim),
            "@COMMON@": str(checkout / ".git"),
            "@MARKER@": marker,
            "@PORT@": str(tcp.getsockname()[1]),
            "@SOCKET@": unix.getsockname()[1:].decode(),
        }
        files = {f"attacks/{name}.sh": _filled(each.script, words) for name, each in every.items()}
        files |= {f"jobs/{name}/x.txt": "start\n" for name in every}
        files |= {"agent.sh": AGENT, "check.sh": CHECKS, "README.md": "read me\n"}
        files["factory.toml"] = _filled(_configuration(every, marker, engine), words)
        make_repository(checkout, files)
        plan = Plan(jobs=tuple(every), target="line")
        toy = Toy(path=checkout.resolve(), marker=marker, plan=plan)
        made = Arena(
            toy=toy, attacks=every, owned=owned, victim=victim, before=remember(toy),
            listeners=(tcp, unix),
        )  # fmt: skip
        try:
            yield made
        finally:
            # Some trees are too deep for anything but rm, pytest's own tidying included.
            run(["rm", "-rf", "--", toy.common / "factory"])


def _configuration(attacks: Mapping[str, Attack], marker: str, engine: str) -> str:
    sandbox = f'[sandbox.docker]\nengine = "{engine}"\n' if engine else ""
    head = f"""version = 1
{sandbox}[line]
sandbox = "{"docker" if engine else "bubblewrap"}"
target = "line"
deliver = "merge"
seats = 4
[[station]]
name = "code"
scope = ["**"]
agent = {{ runtime = "command", run = ["sh", "agent.sh", "{marker}"] }}
timeout = "25s"
[[station]]
name = "tests"
kind = "test"
run = ["sh", "check.sh", "{marker}"]
timeout = "20s"
"""
    return head + "".join(_table(name, attack) for name, attack in attacks.items())


def _table(name: str, attack: Attack) -> str:
    texts = {"id": name, "title": attack.title or f"Edit {name}", "brief": attack.brief}
    lines = [f"{key} = {json.dumps(text, ensure_ascii=False)}" for key, text in texts.items()]
    scope = json.dumps(attack.scope or [f"jobs/{name}/**"])
    lines += [f"scope = {scope}", f"budget = {{ attempts = {attack.attempts} }}", ""]
    return "\n".join(["[[job]]", *lines])


def _filled(text: str, words: Mapping[str, str]) -> str:
    for word, value in words.items():
        text = text.replace(word, value)
    return text


@contextmanager
def _listeners() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Listen on the host where nothing in a sandbox may be heard."""
    with socket.create_server(("127.0.0.1", 0)) as tcp, socket.socket(socket.AF_UNIX) as unix:
        unix.bind(f"\0attacks-{uuid4().hex}")
        unix.listen()
        tcp.settimeout(0)
        unix.settimeout(0)
        yield tcp, unix
