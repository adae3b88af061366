"""A user with a surveyed repository: a plan written by hand, its issues, and agents that follow it.

The repository has three faulty modules. Each agent runs the script that lies there for its job, so
that a test says in one place what an agent does.
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.forge.hub import Hub
from tests.system.forges import TOY, Works
from tests.system.user import User, station, table

CASE = """import unittest
from pkg import {module}


class Issue{number}(unittest.TestCase):
    def test_it(self) -> None:
        self.assertEqual({module}.{call}, {value})
"""
MODULES: Mapping[str, str] = {
    "pkg/__init__.py": "",
    "pkg/one.py": "def double(x):\n    return x + 1\n\n\ndef triple(x):\n    return 3 * x + 1\n",
    "pkg/two.py": "def half(x):\n    return x / 3\n",
    "pkg/three.py": "def negative(x):\n    return x\n\n\ndef zero():\n    return 1\n",
    "pkg/four.py": "def four():\n    return 4\n",
    "tests/__init__.py": "",
    "tests/test_four.py": CASE.format(module="four", number=4, call="four()", value=4),
}
"""What the base holds; its suite is green."""
FIXES: Mapping[str, Mapping[str, str]] = {
    "one": {
        "pkg/one.py": "def double(x):\n    return x + x\n\n\ndef triple(x):\n    return 3 * x\n",
        "tests/test_one.py": CASE.format(module="one", number=1, call="double(2)", value=4)
        + CASE.format(module="one", number=2, call="triple(2)", value=6).partition("one\n\n")[2],
    },
    "two": {
        "pkg/two.py": "def half(x):\n    return x / 2\n",
        "tests/test_two.py": CASE.format(module="two", number=3, call="half(4)", value=2),
    },
    "three": {
        "tests/test_three.py": CASE.format(module="three", number=5, call="negative(1)", value=-1),
    },
}
"""What the agents of the stations write."""
CONTRIBUTED = "def negative(x):\n    return -x\n\n\ndef zero():\n    return 1\n"
AGENT = "set -e\nsh answers/$FACTORY_JOB.sh\n"
RUNNER = ("python3", "-m", "unittest", "-q")
CONFIG = (
    station(
        "code",
        scope=["pkg/**", "tests/**"],
        agent={"runtime": "command", "run": ["sh", "agent.sh"]},
    ),
    station("tests", kind="test", run=[*RUNNER]),
)
_CLASSES: Mapping[int, tuple[str, str, str | None, int | None]] = {
    1: ("canonical", "fix", "rc-1", None),
    2: ("duplicate", "covered", "rc-1", 1),
    3: ("canonical", "fix", "rc-2", None),
    4: ("fixed_by_candidate", "already-fixed", None, None),
    5: ("fixed_by_candidate", "fix", "rc-3", 6),
    6: ("related", "close-after-merge", "rc-3", None),
    7: ("needs_human", "human", None, None),
    8: ("security", "security", None, None),
}


def script(files: Mapping[str, str]) -> str:
    """Give the shell script that writes these files."""
    return "".join(f"cat > {path} <<'END'\n{text}END\n" for path, text in files.items())


def answers(**more: str) -> dict[str, str]:
    """Give the scripts of the agents; ``more`` takes the place of some."""
    made = {name: script(files) for name, files in FIXES.items()} | more
    return {f"answers/{name}.sh": text for name, text in made.items()}


@contextmanager
def surveyed(user: User, place: Path, **scripts: str) -> Iterator[Works]:
    """Give a user at a clone whose issues were surveyed, with an open pull request by alice."""
    user.commit({**MODULES, **answers(**scripts), "agent.sh": AGENT})
    user.configure(*CONFIG, table("[gate]", slots=2), line={"seats": 3})
    with Hub(place=place, begins=datetime(2026, 1, 1, tzinfo=UTC)) as hub:
        hub.repository(TOY, seed=user.checkout)
        user.git("remote", "add", "origin", hub.git_url(TOY))
        token = hub.token("mona", "write")
        act = hub.act("octocat")
        for number, title in enumerate(("double", "triple", "half", "four", "negative"), 1):
            assert act.open(TOY, f"{title} is wrong", f"{title} gives a wrong number.") == number
        hub.fork(TOY, "alice/toy")
        hub.act("alice").commit("alice/toy", "neg", {"pkg/three.py": CONTRIBUTED}, "Negate")
        pull = hub.act("alice").open_pull(TOY, "neg", "Negate", body="Fixes #5", source="alice/toy")
        assert pull == 6
        assert act.open(TOY, "What now?", "Unclear.") == 7
        assert act.open(TOY, "A hole", "secret words of a report") == 8
        yield Works(user=user, hub=hub, token=token, issues=(1, 2, 3, 4, 5))


def plan_of(works: Works, **changes: Any) -> dict[str, Any]:
    """Give the plan of a survey of these issues as they are now; ``changes`` replace fields."""
    head = works.user.git("rev-parse", "HEAD")
    items = [_item(works, number) for number in _CLASSES]
    made = {
        "schema": "factory.plan/1",
        "repo": TOY,
        "base_sha": head,
        "theme": "wrong numbers",
        "created": "2026-11-21T17:00:00Z",
        "items": items,
        "root_causes": [
            _cause(1, [1, 2], "one"),
            _cause(2, [3], "two"),
            _cause(3, [5, 6], "three"),
        ],
        "strategy": {
            "statement": "Compute each number as its name says, in the module that owns it.",
            "alternatives": [{"what": "Rename them", "why_not": "Users rely on the names."}],
            "non_goals": ["No new functions"],
            "risks": ["Somebody may rely on the wrong numbers"],
        },
        "stations": [
            _station("one", 1, [1, 2]),
            _station("two", 2, [3]),
            _station("three", 3, [5]),
        ],
        "waves": [["one", "two", "three"]],
        "delivery": {
            "mode": "one-pr",
            "branches": ["factory/pr/wrong-numbers"],
            "limits": {"files": 50, "lines": 800},
        },
        "credit": [{"login": "alice", "id": None, "pr": 6, "commits": [], "how": "co-author"}],
        "closing": [{"item": n, "keyword": "Fixes", "gate": ""} for n in (1, 2, 3, 5)],
        "left_out": [{"n": n, "why": "not worked on"} for n in (4, 7, 8)],
    }
    return {**made, **changes}


def put(works: Works, plan: Mapping[str, Any]) -> Path:
    """Write a plan beside the checkout, and give its path."""
    path = works.user.checkout.parent / "plan.json"
    path.write_text(json.dumps(plan, indent=1))
    return path


def _item(works: Works, number: int) -> dict[str, Any]:
    kind, action, cause, of = _CLASSES[number]
    there = works.hub.issue(TOY, number)
    security = action == "security"
    proof = {
        "item": 4,
        "test_id": "tests/test_four.py::Issue4",
        "command": [*RUNNER, "tests.test_four.Issue4"],
    }
    return {
        "n": number,
        "kind": "pull" if there.pull is not None else "issue",
        "state": "open",
        "title": "" if security else there.title,
        "updated_at": there.updated.isoformat().replace("+00:00", "Z"),
        "head_sha": there.pull.head if there.pull is not None else "",
        "class": kind,
        "of": of,
        "root_cause_id": cause,
        "confidence": 0.9,
        "evidence": [],
        "action": action,
        "why": "",
        "proof": proof if number == 4 else None,
    }


def _cause(number: int, items: list[int], module: str) -> dict[str, Any]:
    return {
        "id": f"rc-{number}",
        "statement": f"pkg/{module}.py computes a wrong number",
        "files": [f"pkg/{module}.py"],
        "symbols": [],
        "items": items,
        "fix": "",
        "found": [],
    }


def _station(name: str, cause: int, items: list[int]) -> dict[str, Any]:
    return {
        "id": name,
        "root_cause_ids": [f"rc-{cause}"],
        "scope": {"write": [f"pkg/{name}.py", f"tests/test_{name}.py"], "read": []},
        "depends_on": [],
        "budget": {"tokens": None, "usd": None, "seconds": 600},
        "acceptance": [
            {
                "item": item,
                "test_id": f"tests/test_{name}.py::Issue{item}",
                "command": [*RUNNER, f"tests.test_{name}.Issue{item}"],
            }
            for item in items
        ],
    }
