"""A user at a checkout of a small repository, who types commands and reads what they say.

The agent of this repository runs its brief as a shell script, so that a test says in one place
what an agent does. The tests of the repository are red when a file under a, b, c or d says BUG.
"""

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.run import ROOT, Ran, command, run

FILES: Mapping[str, str] = {
    "agent.sh": "set -e\neval \"$(sed -n '3,/^You may change:/p' | sed '$d')\"\n",
    "check.sh": "if grep -rn BUG a b c d; then echo FAILED: a bug; exit 1; fi\n",
    **{f"{part}/x.txt": "one\ntwo\nthree\n" for part in "abcd"},
}
SH = {"runtime": "command", "run": ["sh", "agent.sh"]}
ONE = {"scope": ["a/**"], "brief": "echo new > a/new.txt"}
"""A small honest job."""


def written(value: object) -> str:
    """Give a value as TOML."""
    match value:
        case dict():
            return (
                "{ " + ", ".join(f"{key} = {written(each)}" for key, each in value.items()) + " }"
            )
        case list() | tuple():
            return "[" + ", ".join(map(written, value)) + "]"
        case _:
            return json.dumps(value)


def table(head: str, **keys: object) -> str:
    """Give one table of a TOML file."""
    return "\n".join([head, *(f"{key} = {written(value)}" for key, value in keys.items())]) + "\n"


def station(name: str, **keys: object) -> str:
    """Give a station's table."""
    return table("[[station]]", name=name, **keys)


def job(name: str, script: str = "", **keys: object) -> str:
    """Give a job's table; `script` is what its agent does."""
    return table("[[job]]", id=name, **{"title": f"Do {name}", "brief": script, **keys})


CODE = station("code", scope=["a/**", "b/**", "c/**", "d/**"], agent=SH)
TESTS = station("tests", kind="test", run=["sh", "check.sh"])


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """Someone with a home and a checkout."""

    checkout: Path
    home: Path

    @property
    def program(self) -> list[str]:
        """How the factory is started."""
        return [sys.executable, "-m", "factory"]

    @property
    def env(self) -> dict[str, str]:
        """What this user's shell sets."""
        return {"HOME": str(self.home), "PYTHONPATH": str(ROOT), "PYTHONSAFEPATH": "1"}

    def fac(
        self,
        *words: str,
        code: int | None = 0,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        timeout: float = 60,
    ) -> Ran:
        """Type a command and see that it ends with this exit code; None allows any."""
        env = self.env | (env or {})
        ran = command(words, cwd=cwd or self.checkout, env=env, timeout=timeout)
        said = f"{words} ended with {ran.code}\n{ran.out.decode()}\n{ran.err.decode()}"
        assert code in {None, ran.code}, said
        assert b"Traceback" not in ran.err, said
        return ran

    def document(self, *words: str, schema: str, code: int = 0, **more: object) -> dict:
        """Type a command with --json and give the one document on its standard output."""
        ran = self.fac(*words, "--json", code=code, **more)  # type: ignore[arg-type]
        found = json.loads(ran.out)
        assert found["schema"] == schema, found
        return found

    def run(self, *words: str, code: int = 0, **more: object) -> dict[str, dict]:
        """Run the line, trusted, and give each job's row by its id."""
        return self.rows("run", "--trust", *words, code=code, **more)

    def rows(self, *words: str, code: int = 0, **more: object) -> dict[str, dict]:
        """Type a command that ends with a run's document, and give each job's row by its id."""
        found = self.document(*words, schema="factory.run/1", code=code, **more)
        return {row["id"]: row for row in found["jobs"]}

    def git(self, *words: str) -> str:
        """Ask git in the checkout."""
        return run(["git", *words], cwd=self.checkout, env={"HOME": str(self.home)}).text

    def commit(self, files: Mapping[str, str]) -> None:
        """Write files and commit them."""
        for name, text in files.items():
            path = self.checkout / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        self.git("add", "-A")
        self.git("commit", "-q", "--allow-empty", "-m", "more")

    def configure(self, *tables: str, line: Mapping[str, object] | None = None) -> None:
        """Commit a factory.toml of these tables; the target is main unless told otherwise."""
        head = {"target": "main", "deliver": "merge"} if line is None else line
        text = "version = 1\n" + (table("[line]", **head) if head else "")
        self.commit({"factory.toml": text + "".join(tables)})

    def at(self, ref: str, path: str) -> str:
        """Give a file as a commit has it."""
        return self.git("show", f"{ref}:{path}")

    def files(self, ref: str = "main") -> list[str]:
        """Give the paths of a commit."""
        return self.git("ls-tree", "-r", "--name-only", ref).splitlines()


def states(rows: Mapping[str, dict]) -> dict[str, str]:
    """Give what became of each job."""
    return {name: row["state"] for name, row in rows.items()}
