"""A user whose repository lies on the loopback forge, and whose factory is killed over and over."""

import base64
import json
import random
import re
import signal
import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from tests.forge.hub import Hub
from tests.forge.world import Pull
from tests.run import end, environment, run
from tests.system.user import CODE, TESTS, User, table
from tests.warm import Warm

TOY = "octo/toy"
LABEL = "go"
RUN = "factory.run/1"
AGENT = """
cat > /dev/null
mkdir -p a b/tests
echo "made by $FACTORY_JOB" > "a/$FACTORY_JOB.txt"
"""
WORDS = ("pull", "--label", LABEL, "--deliver", "pr")
FAR = timedelta(days=2)
"""So long ago the forge's clock begins: an issue that a killed factory had taken is free again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Killed:
    """One kill -9: how many requests the forge had seen of that process, and what it was at."""

    requests: int
    last: str
    delivering: bool
    """Whether its work had begun to be delivered, by this process or one before it."""


@dataclass(slots=True, kw_only=True)
class Works:
    """A user at a clone with a token, and the forge with issues that want to be worked on."""

    user: User
    hub: Hub
    token: str
    issues: tuple[int, ...]
    full: str = TOY
    kills: list[Killed] = field(default_factory=list)
    said: list[bytes] = field(default_factory=list)

    @property
    def env(self) -> dict[str, str]:
        """What the shell of somebody with a token says."""
        return {"GITHUB_TOKEN": self.token, "GITHUB_API_URL": self.hub.api_url}

    def next(self) -> tuple[str, ...]:
        """Give what a person would type now: take the issues, or go on with what was begun."""
        return ("resume",) if self._recorded("placed") else WORDS

    def finish(self, *, code: int = 0) -> dict[str, Any]:
        """Let it come to its end, and give the document."""
        words = self.next()
        ran = self.user.fac(*words, "--trust", "--json", code=code, env=self.env)
        self.said += [ran.out, ran.err]
        found: dict[str, Any] = json.loads(ran.out)
        return found

    def kill(self, dice: random.Random, *, most: int, longest: float = 2.5) -> bool:
        """Start it and kill it after some requests, or some time; say whether it lived till then.

        ``most`` requests are about what the process would make, ``longest`` about its seconds.
        """
        words = [*self.next(), "--trust", "--json"]
        env = environment(**self.user.env, **self.env)
        wanted = dice.randint(0, most)
        pause = dice.uniform(0, 0.15) if wanted else dice.uniform(0.2, longest)
        seen = len(self.hub.log)
        child = Warm(words, cwd=self.user.checkout, env=env)
        try:
            while child.poll() is None and len(self.hub.log) < seen + wanted:
                threading.Event().wait(0.002)
            ends = time.monotonic() + pause
            while child.poll() is None and time.monotonic() < ends:
                threading.Event().wait(0.002)
            alive = child.poll() is None
            child.send_signal(signal.SIGKILL)
            self.said += child.communicate(timeout=30)
        finally:
            end(child)
        made = self.hub.log[seen:]
        if alive:
            last = f"{made[-1].method} {made[-1].template}" if made else "-"
            delivering = self._recorded("delivering")
            self.kills.append(Killed(requests=len(made), last=last, delivering=delivering))
        return alive

    def kill_after(self, words: Sequence[str], seconds: float) -> bool:
        """Start a command and kill it after some time; say whether it lived till then."""
        env = environment(**self.user.env, **self.env)
        child = Warm([*words, "--json"], cwd=self.user.checkout, env=env)
        try:
            with suppress(TimeoutError):
                child.wait(timeout=seconds)
            alive = child.poll() is None
            child.send_signal(signal.SIGKILL)
            self.said += child.communicate(timeout=30)
        finally:
            end(child)
        return alive

    def pulls(self) -> list[tuple[str, Pull]]:
        """Give body and record of each pull request, oldest first."""
        found = self.hub.repo(self.full).pulls()
        return [(issue.body or "", pull) for issue, pull in found]

    def duplicates(self) -> dict[str, int]:
        """Count what the forge has more than once of: comments, pull requests, branches."""
        repo = self.hub.repo(self.full)
        heads = Counter(pull.head_ref for _, pull in repo.pulls())
        named = Counter(
            number for body, _ in self.pulls() for number in set(re.findall(r"issue #(\d+)", body))
        )
        keys = Counter(
            (comment.number, key)
            for comment in repo.comments.values()
            for key in re.findall(r"factory:key=([0-9a-f]{8})", comment.body)
        )
        ours = repo.bare.refs("refs/heads/factory")
        stray = [ref for ref in ours if ref.removeprefix("refs/heads/") not in heads]
        return {
            "comments": _more(keys),
            "pull requests": _more(heads) + _more(named),
            "branches": len(stray),
        }

    def leaks(self) -> list[str]:
        """Name every place that holds the token, plain or as a header would hold it."""
        plain = self.token.encode()
        forms = (plain, *(base64.b64encode(b"%s:%s" % (who, plain)) for who in _WHO))
        found = []
        for root in (self.user.checkout, self.user.home, self.hub.place):
            files = (path for path in root.rglob("*") if path.is_file() and not path.is_symlink())
            found += [str(path) for path in files if _holds(path.read_bytes(), forms)]
        for bare in (self.user.checkout, self.hub.repo(self.full).bare.path):
            words = ["git", "cat-file", "--batch", "--batch-all-objects"]
            if _holds(run(words, cwd=bare).out, forms):
                found.append(f"an object in {bare}")
        repo = self.hub.repo(self.full)
        texts = [body for body, _ in self.pulls()]
        texts += [comment.body for comment in repo.comments.values()]
        texts += [one.path + json.dumps(one.query) for one in self.hub.log]
        if _holds("\0".join(texts).encode(), forms):
            found.append("a text on the forge")
        if _holds(b"\0".join(self.said), forms):
            found.append("what the factory printed")
        return found

    def _recorded(self, kind: str) -> bool:
        ledger = self.user.checkout / ".git" / "factory" / "ledger.sqlite"
        asked = "SELECT 1 FROM events WHERE json_extract(body, '$.kind') = ?"
        if not ledger.exists():
            return False
        with closing(sqlite3.connect(ledger)) as base, suppress(sqlite3.OperationalError):
            return base.execute(asked, (kind,)).fetchone() is not None
        return False


_WHO = (b"x-access-token", b"mona", b"")


def _holds(data: bytes, forms: Sequence[bytes]) -> bool:
    return any(form in data for form in forms)


def _more(counted: Mapping[Any, int]) -> int:
    return sum(count - 1 for count in counted.values() if count > 1)


@contextmanager
def works(user: User, place: Path, *, issues: int, forge: Mapping[str, object]) -> Iterator[Works]:
    """Give a user at a checkout that a forge has as well, with labelled issues."""
    user.commit({"agent.sh": AGENT})
    user.configure(CODE, TESTS, table("[forge]", **forge), line={})
    with Hub(place=place, begins=datetime.now(UTC) - FAR) as hub:
        hub.repository(TOY, seed=user.checkout)
        user.git("remote", "add", "origin", hub.git_url(TOY))
        token = hub.token("mona", "write")
        numbers = [
            hub.act("mona").open(TOY, f"Write part {number}", "Please.", LABEL)
            for number in range(issues)
        ]
        yield Works(user=user, hub=hub, token=token, issues=tuple(numbers))
