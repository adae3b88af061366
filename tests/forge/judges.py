"""A clone whose forge judges: a hub with checks of the test's making, and trials to prove."""

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from factory.forge.proofs import Proof, Proofs
from factory.proving import Pace, Proving
from stations.contract import Awaited, Check, Trial, Verdict
from tests.conftest import commit_files
from tests.forge.ci import Verdict as Said
from tests.forge.desktop import Desktop, entered
from tests.forge.hub import Hub
from worktrees.names import Oid, RunId

FULL = "octo/toy"
RUN = RunId("r1")
UNIT = "ci / unit"
PROOFS = "refs/heads/factory/proof/*"
QUICK = Pace(first=0.02, most=0.1)
Judges = Mapping[str, Callable[[Path], Said | str]]


def honest(place: Path) -> Said:
    """Judge as a real suite would: by the files."""
    text = (place / "a.py").read_text()
    if "BUG" in text:
        log = f"collected 1 item\nE   assert {text.strip()!r}\n##[error]Process completed: 1\nbye\n"
        return Said(conclusion="failure", log=log)
    return Said(conclusion="success")


@dataclass(frozen=True, slots=True, kw_only=True)
class Court:
    """A desktop and who proves there."""

    hub: Hub
    desktop: Desktop
    proving: Proving

    @property
    def branches(self) -> Mapping[str, str]:
        """Give the proofs that stand on the forge."""
        found = self.hub.repo(FULL).bare.refs("refs/heads")
        return {ref: str(oid) for ref, oid in dict(found).items() if "/proof/" in ref}

    @property
    def remembered(self) -> list[str]:
        """Give the refs by which this clone remembers proofs."""
        said = self.desktop.repository.git("for-each-ref", "--format=%(refname)", "refs/factory/")
        return said.text.splitlines()

    def trial(self, text: str = "fine\n", *, number: int = 1, **check: object) -> Trial:
        """Give a trial of a tree with this text, that `UNIT` is to judge."""
        repository = self.desktop.repository
        base = repository.git.resolve("refs/heads/main")
        assert base is not None
        commit = commit_files(repository, base, {"a.py": text})
        wanted = {"owner": "suite", "run": (), "checks": (UNIT,), "timeout": 20.0, **check}
        made = Check(**wanted)  # type: ignore[arg-type]  # fields of the check
        return self.task(repository.git.tree_of(commit), base, number, made)

    def task(self, tree: Oid, base: Oid, number: int, *checks: Check) -> Trial:
        """Give a trial of a tree."""
        return Trial(run=RUN, trial=number, base=base, tree=tree, checks=checks, key="k")

    def shown(self, task: Trial) -> str:
        """Push the proof of a trial and give its id."""
        found = self.proving.prove(task, threading.Event(), ())
        assert isinstance(found, Awaited), found
        return found.external

    def judged(self, task: Trial) -> Verdict:
        """Prove a trial and give its verdict, however often it is asked for; the proof goes."""
        found: Verdict | Awaited = self.proving.prove(task, threading.Event(), ())
        while isinstance(found, Awaited):
            asked = found.external
            found = self.proving.judge(task, asked, threading.Event())
            self.proving.let_go(task, asked)
        return found

    def commit(self, external: str) -> str:
        """Give the commit of a proof."""
        return Proof.of(external).commit


@contextmanager
def court(place: Path, judges: Judges | None = None) -> Iterator[Court]:
    """Give a court in a directory; ``judges`` are the forge's checks of every proof."""
    with Hub(place / "hub") as hub:
        hub.repository(FULL, files={"a.py": "fine\n"})
        if judges is not None:
            hub.ci(judges, pattern=PROOFS)
        desktop = entered(hub, place / "clone")
        proofs = Proofs(
            git=desktop.repository.git, remote=desktop.forge.remote, say=desktop.said.append
        )
        proving = Proving(proofs=proofs, door=desktop.forge.door, pace=QUICK)
        with desktop.forge:
            yield Court(hub=hub, desktop=desktop, proving=proving)
