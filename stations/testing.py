"""Testing: the exact tree that would land is made, and every check that counts for it is run."""

import hashlib
import json
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Final
from uuid import uuid4

from stations.bench import Bench, ExportError, export
from stations.box import SandboxError
from stations.contract import (
    Branch,
    Check,
    Compose,
    Composed,
    Green,
    Kind,
    Lost,
    Red,
    StationSpec,
    Trial,
    Verdict,
)
from stations.ran import Ran
from stations.tools import Tool, ToolMissingError
from stations.trees import command_box, materialise
from worktrees.change import paths
from worktrees.failpoint import failpoint
from worktrees.intake import Refused, Same, Taken, intake
from worktrees.merge import chain, never
from worktrees.names import Oid, made_refs
from worktrees.scope import allows

KEY_VERSION: Final = 1


class MadeError(Exception):
    """An ``at = "merge"`` station failed on the merged tree; the branches are at fault."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Testing:
    """The stations that stand behind the coding ones: they make trees and give verdicts."""

    bench: Bench
    specs: tuple[StationSpec, ...]

    def compose(self, task: Compose, stop: threading.Event | None = None) -> Composed:
        """Make the tree of a trial and name the checks that count for it."""
        return compose(self.bench, self.specs, task, stop=stop or threading.Event())

    def try_tree(self, task: Trial, stop: threading.Event | None = None) -> Verdict:
        """Run a trial's checks and give the verdict on exactly its tree."""
        return try_tree(self.bench, task, stop=stop or threading.Event())


def compose(
    bench: Bench, specs: Sequence[StationSpec], task: Compose, *, stop: threading.Event
) -> Composed:
    """Merge the branches onto the base, run the ``at = "merge"`` stations, choose the checks."""
    began = time.monotonic()
    makers = [spec for spec in specs if spec.at_merge]

    def made(path: str) -> bool:
        return any(spec.scope.allows(path) for spec in makers)

    merged = chain(
        bench.git,
        task.base,
        [(branch.job, branch.commit) for branch in task.branches],
        made=made if makers else never,
    )
    tip, tree, fault = merged.commit, merged.tree, ""
    try:
        if merged.merged:
            tip = _make(bench, makers, task, tip=tip, stop=stop)
            tree = tree if tip == merged.commit else bench.git.tree_of(tip)
    except MadeError as error:
        fault = str(error)
    kept = [branch for branch in task.branches if branch.job in merged.merged]
    checks = _checks(specs, kept, _changed(bench, task.base, tip))
    return Composed(
        trial=task.trial,
        tree=None if fault or not merged.merged else tree,
        commands=checks,
        key=key_of(bench, checks),
        base_clash=merged.base_clash,
        mate_clash=merged.mate_clash,
        fault=fault,
        blame="branches" if fault else "",
        seconds=time.monotonic() - began,
    )


def try_tree(
    bench: Bench,
    task: Trial,
    *,
    stop: threading.Event,
    hear: Callable[[str], None] | None = None,
) -> Verdict:
    """Run each check on a copy of its own of exactly this tree; the first required red ends it.

    The forge's checks are not run here: green then means that the forge may see the tree. ``hear``
    is told the end of what each check said that passed.
    """
    began = time.monotonic()
    git = bench.git
    candidate = Oid(git("commit-tree", task.tree, "-p", task.base, stdin=b"candidate\n").text)
    notes: list[str] = []
    with bench.room(f"trial-{task.trial}-{uuid4().hex[:8]}") as room:
        for check in task.checks:
            if check.checks:
                continue
            try:
                tool = bench.find(check.run[0])
            except ToolMissingError as error:
                if not check.required:
                    notes.append(f"{check.owner} could not run: {error}")
                    continue
                if check.owner.startswith("accept:"):  # one job's mistake, not the machine's
                    spent = time.monotonic() - began
                    return Red(
                        tree=task.tree,
                        key=task.key,
                        owner=check.owner,
                        tail=str(error),
                        seconds=spent,
                    )
                return Lost(why=f"{check.owner}: {error}")
            ran = _run_check(
                bench, check, tool, tree=task.tree, commit=candidate, room=room, stop=stop
            )
            if ran.ended == "stopped":
                return Lost(why="cancelled")
            if ran.good:
                if hear is not None:
                    hear(ran.text)
                continue
            if check.required:
                return Red(
                    tree=task.tree,
                    key=task.key,
                    owner=check.owner,
                    tail=_tail(check, ran),
                    seconds=time.monotonic() - began,
                )
            notes.append(f"{check.owner} is red and does not count: {_last_line(ran)}")
    return Green(tree=task.tree, key=task.key, seconds=time.monotonic() - began, notes=tuple(notes))


def key_of(bench: Bench, checks: Sequence[Check]) -> str:
    """Give the key of a verdict: the checks, the kind of sandbox, the environment and its tools."""
    stamps = {}
    for name in sorted({check.run[0] for check in checks if check.run}):
        try:
            stamps[name] = bench.find(name).stamp
        except ToolMissingError:
            stamps[name] = "missing"
    around = bench.surroundings
    parts = {
        "version": KEY_VERSION,
        "checks": [asdict(check) for check in checks],
        "sandbox": f"{bench.sandbox.name} {bench.sandbox.stamp}".strip(),
        "share": sorted(around.share),
        "tools": sorted(map(str, around.tools)),
        "scratch": sorted(around.scratch),
        "made": sorted(str(place) for _, place in around.made),
        "programs": stamps,
    }
    if bench.anew:
        parts["run"] = bench.run
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def _checks(
    specs: Sequence[StationSpec], branches: Sequence[Branch], changed: Sequence[str]
) -> tuple[Check, ...]:
    stations = [
        spec.check() for spec in specs if spec.kind is Kind.TEST and _touches(spec, changed)
    ]
    accepts = [
        Check(owner=f"accept:{branch.job}", run=command)
        for branch in branches
        for command in branch.accept
    ]
    # What runs here comes first: the forge is asked only about what has passed all of it.
    return tuple(sorted([*stations, *accepts], key=lambda c: (bool(c.checks), not c.required)))


def _touches(spec: StationSpec, changed: Sequence[str]) -> bool:
    return not spec.when or any(allows(spec.when, path) for path in changed)


def _changed(bench: Bench, before: Oid, after: Oid) -> list[str]:
    return [path.decode("utf-8", "surrogateescape") for path in paths(bench.git, before, after)]


def _run_check(
    bench: Bench,
    check: Check,
    tool: Tool,
    *,
    tree: Oid,
    commit: Oid,
    room: Path,
    stop: threading.Event,
) -> Ran:
    directory = materialise(bench, tree, room=room)
    box = command_box(bench, directory, commit=commit, words=check.run, tool=tool, scope=None)
    failpoint("testing.check.before")
    ran = bench.sandbox.run(box, deadline=check.timeout, idle=check.idle, stop=stop)
    failpoint("testing.check.after")
    return ran


def _make(
    bench: Bench, makers: Sequence[StationSpec], task: Compose, *, tip: Oid, stop: threading.Event
) -> Oid:
    """Give the tip after each maker whose ``when`` matches has made its files on it."""
    for spec in makers:
        if not _touches(spec, _changed(bench, task.base, tip)):
            continue
        with bench.room(f"make-{task.trial}-{uuid4().hex[:8]}") as room:
            tip = _made(bench, spec, tip=tip, room=room, stop=stop)
    return tip


def _made(bench: Bench, spec: StationSpec, *, tip: Oid, room: Path, stop: threading.Event) -> Oid:
    git = bench.git
    directory = materialise(bench, git.tree_of(tip), room=room)
    words = spec.run or (spec.agent.run if spec.agent is not None else ())
    tool = bench.find(words[0])
    box = command_box(bench, directory, commit=tip, words=words, tool=tool, scope=spec.scope)
    ran = bench.sandbox.run(box, deadline=spec.timeout, idle=spec.idle, stop=stop)
    if ran.ended == "stopped":
        msg = f"{spec.name} was stopped"
        raise SandboxError(msg)  # no verdict on anybody
    if not ran.good:
        msg = f"{spec.name} failed on the merged tree: {_last_line(ran)}"
        raise MadeError(msg)
    (room / "export").mkdir()
    try:
        exported = export(
            bench, tree=directory, room=room / "export", base=tip, message=f"{spec.name}\n"
        )
    except ExportError as error:
        msg = f"{spec.name}: {error}"
        raise MadeError(msg) from error
    # Only for as long as nothing else holds the commit: the landing commit will hold its tree.
    ref = f"{made_refs(bench.run)}{room.name}"
    taken = intake(
        bench.repository,
        exported.pack,
        exported.commit,
        base=tip,
        judged_from=tip,
        scope=spec.scope,
        rules=replace(bench.rules, symlinks=spec.symlinks),
        ref=ref,
        old=None,
        at=room / "export",
    )
    match taken:
        case Same():
            return tip
        case Refused(judgement=judgement):
            said = "; ".join(refusal.text for refusal in judgement.refusals[:5])
            msg = f"what {spec.name} made was refused: {said}"
            raise MadeError(msg)
        case Taken(commit=commit, judgement=judgement):
            failpoint("testing.made.before")
            git("update-ref", "-d", ref, commit)
            failpoint("testing.made.after")
            if judgement.protected:
                said = "; ".join(found.text for found in judgement.protected[:5])
                msg = f"what {spec.name} made needs a person: {said}"
                raise MadeError(msg)
            return commit


def _tail(check: Check, ran: Ran) -> str:
    if ran.ended == "exit":
        return ran.text or f"{' '.join(check.run)[:200]}: exit {ran.code} without any output"
    why = {"deadline": f"after {check.timeout:g} s", "idle": f"after {check.idle:g} s of silence"}
    return f"{ran.text}\n{' '.join(check.run)[:200]} was ended {why.get(ran.ended, '')}".strip()


def _last_line(ran: Ran) -> str:
    lines = [line for line in ran.text.splitlines() if line.strip()]
    return lines[-1][:300] if lines else f"ended by {ran.ended}, code {ran.code}"
