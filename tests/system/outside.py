"""The checker: looks at a repository from outside and says which invariants do not hold.

It knows git, the file system, the process table and the ledger's rows, and nothing of our code.
"""

import hashlib
import json
import re
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.system.sites import SECRET, Toy, states

FIELDS = "%H%x09%T%x09" + "%x09".join(
    f"%(trailers:key={key},valueonly,separator=%x2C)"
    for key in ("Factory-Run", "Factory-Job", "Factory-Tested-Tree")
)
OURS = re.compile(r"(factory|objects|worktrees|refs/factory|(logs/)?refs/heads/factory)/")


@dataclass(frozen=True, slots=True, kw_only=True)
class Before:
    """What the user's things looked like: a hash of each file, the refs, the target's tip."""

    checkout: Mapping[str, str]
    common: Mapping[str, str]
    refs: Mapping[str, str]
    tip: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Landed:
    """A first-parent commit of the target that bears our trailers."""

    commit: str
    tree: str
    run: str
    jobs: tuple[str, ...]
    tested: str


def remember(toy: Toy) -> Before:
    """Record the user's checkout, git directory and refs."""
    return Before(
        checkout=_hashes(toy.path, skip=re.compile(r"\.git/")),
        common=_hashes(toy.common, skip=OURS),
        refs=_refs(toy),
        tip=toy.tip() or toy.git("rev-parse", "HEAD").text,
    )


def check(
    toy: Toy,
    before: Before,
    document: Mapping[str, Any],
    *,
    foreign: Collection[str] = (),
    waiting: Collection[str] = (),
) -> None:
    """Assert I1 to I8, I10 and I11 after a run that is over.

    ``foreign`` are commits of other people on the target, ``waiting`` the jobs that a person must
    answer: their branches stay.
    """
    toy.nobody_left()
    faults = [
        *_tested(toy, before, foreign),
        *_forward(toy, before, foreign),
        *_settled(toy, before, document, waiting),
        *reachable(toy),
        *_left(toy, waiting),
        *_sound(toy),
        *_untouched(toy, before),
        *_secrets(toy),
    ]
    assert not faults, "\n".join(faults)


def landings(toy: Toy, before: Before) -> list[Landed]:
    """Read what landed from the target's history."""
    tip = toy.tip()
    if not tip:
        return []
    log = toy.git("log", "--first-parent", f"--format={FIELDS}", f"{before.tip}..{tip}").out
    found = []
    for line in log.decode().splitlines():
        commit, tree, name, jobs, tested = line.split("\t")
        if name:
            names = tuple(jobs.split(","))
            found.append(Landed(commit=commit, tree=tree, run=name, jobs=names, tested=tested))
    return found


def reachable(toy: Toy) -> list[str]:
    """Check that every commit that the ledger calls saved is reachable from a ref (I4)."""
    saved = [
        event["outcome"]["commit"]
        for event in toy.events("finished")
        if event["outcome"].get("commit")
    ]
    held = set(toy.git("rev-list", "--all").text.split())
    return [
        f"I4: {commit} was saved and is not reachable" for commit in saved if commit not in held
    ]


def agent_bytes(toy: Toy) -> set[str]:
    """Give the blob ids of what agents have written in workspaces that stand now."""
    trees = toy.common / "factory" / "trees"
    files = [path for path in trees.glob("*/jobs/*/*") if path.is_file() and not path.is_symlink()]
    made = [path.read_bytes() for path in files]
    return {_blob(data) for data in made if data.startswith(b"made ") and data.endswith(b"\n")}


def lost_bytes(toy: Toy, blobs: Collection[str]) -> set[str]:
    """Give those of these blobs that no ref reaches and no kept tree holds."""
    held = {line.split()[0] for line in toy.git("rev-list", "--objects", "--all").text.splitlines()}
    kept = toy.common.glob("factory/runs/*/*/*/tree-*/jobs/*/x.txt")
    return set(blobs) - held - {_blob(path.read_bytes()) for path in kept}


def _blob(data: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()


def _tested(toy: Toy, before: Before, foreign: Collection[str]) -> list[str]:
    verdicts = toy.rows("SELECT tree, key, body FROM verdicts")
    base = toy.git("rev-parse", f"{before.tip}^{{tree}}").text
    keys = {key for tree, key, _ in verdicts if tree == base}
    green = {
        tree for tree, key, body in verdicts if key in keys and json.loads(body)["kind"] == "green"
    }
    faults = []
    ours = landings(toy, before)
    for one in ours:
        if one.tree != one.tested:
            faults.append(f"I1: {one.commit} has another tree than it says was tested")
        if one.tree not in green:
            faults.append(f"I1: no green verdict with the configured checks for {one.commit}")
    known = {one.commit for one in ours} | set(foreign)
    if tip := toy.tip():
        listed = toy.git("rev-list", "--first-parent", f"{before.tip}..{tip}").text.split()
        faults += [f"I1: {commit} is nobody's commit" for commit in listed if commit not in known]
    twice = Counter((one.run, job) for one in ours for job in one.jobs)
    faults += [f"I3: {pair} landed {count} times" for pair, count in twice.items() if count > 1]
    return faults


def _forward(toy: Toy, before: Before, foreign: Collection[str]) -> list[str]:
    tip = toy.tip()
    if not tip:
        return []
    older = (before.tip, *foreign)
    return [
        f"I2: {commit} is no longer in the target"
        for commit in older
        if toy.git("merge-base", "--is-ancestor", commit, tip, check=False).code
    ]


def _settled(
    toy: Toy, before: Before, document: Mapping[str, Any], waiting: Collection[str]
) -> list[str]:
    said = states(document)
    placed = [job["id"] for event in toy.events("placed") for job in event["jobs"]]
    runs = {name for (name,) in toy.rows("SELECT DISTINCT run FROM events")}
    faults = []
    if len(runs) == 1 and sorted(placed) != sorted(said):
        faults.append(f"I8: placed {sorted(placed)}, ended {sorted(said)}")
    for job, state in said.items():
        allowed = {"waiting"} if job in waiting else {"landed", "proposed", "dead", "withdrawn"}
        if state not in allowed:
            faults.append(f"I8: {job} is {state}")
    ours = [one for one in landings(toy, before) if one.run == document["run"]]
    truly = {job for one in ours for job in one.jobs}
    told = {job for job, state in said.items() if state == "landed"}
    if truly != told:
        faults.append(f"I8: git says that {sorted(truly)} landed, the document {sorted(told)}")
    return faults


def _left(toy: Toy, waiting: Collection[str]) -> list[str]:
    common, ours = toy.common, toy.common / "factory"
    places = (ours / "trees", ours / "new", ours / "rooms", common / "worktrees")
    found = [path for place in places if place.is_dir() for path in place.iterdir()]
    # The directory of a run's rooms may stay; what was in it may not.
    found = [path for path in found if path.parent.name != "rooms" or any(path.iterdir())]
    found += [*common.rglob("*.lock"), *common.rglob("tmp_obj*"), *ours.glob("quarantine*")]
    found += [*ours.glob("index.*"), *ours.glob("fill.*")]
    trash = ours / "trash"
    found = [path for path in found if trash not in path.parents]
    branches = [ref for ref in _refs(toy) if re.match(r"refs/heads/factory/[^/]+/job/", ref)]
    stray = [ref for ref in branches if ref.rpartition("/")[2] not in waiting]
    stray += [ref for ref in _refs(toy) if ref.startswith("refs/factory/made/")]
    if not waiting:
        stray += [ref for ref in _refs(toy) if ref.startswith("refs/factory/base/")]
    return [*(f"I5: {path} is left" for path in found), *(f"I5: {ref} is left" for ref in stray)]


def _sound(toy: Toy) -> list[str]:
    faults = []
    checked = toy.git("fsck", "--full", "--strict", "--no-dangling", check=False)
    if checked.code:
        faults.append(f"I6: git fsck says {checked.out.decode()} {checked.err.decode()}")
    listed = toy.git("worktree", "list", check=False)
    if listed.code:
        faults.append(f"I6: git worktree list says {listed.err.decode()}")
    return faults


def _untouched(toy: Toy, before: Before) -> list[str]:
    """Check I7 and I11; a target that is checked out and clean may have been forwarded."""
    head = toy.git("symbolic-ref", "-q", "HEAD", check=False).text
    followed = head == toy.target
    refs = {name: oid for name, oid in _refs(toy).items() if not name.startswith("refs/factory/")}
    mine = {name: oid for name, oid in refs.items() if not name.startswith("refs/heads/factory/")}
    mine.pop(toy.target, None)
    known = {name: oid for name, oid in before.refs.items() if name != toy.target}
    faults = [] if mine == known else [f"I7: refs were {known}, are {mine}"]
    common = _hashes(toy.common, skip=OURS)
    moved = {toy.target, f"logs/{toy.target}"} | ({"index", "logs/HEAD"} if followed else set())
    faults += [
        f"I7/I11: {name} in the git directory changed"
        for name in sorted(common.keys() | before.common.keys())
        if common.get(name) != before.common.get(name) and name not in moved
    ]
    if followed:
        status = toy.git("status", "--porcelain").text
        faults += [f"I7: the checkout that followed is not clean: {status}"] if status else []
    elif (now := _hashes(toy.path, skip=re.compile(r"\.git/"))) != before.checkout:
        names = [
            name
            for name in now | dict(before.checkout)
            if now.get(name) != before.checkout.get(name)
        ]
        faults.append(f"I7: the checkout changed: {names}")
    return faults


def _secrets(toy: Toy) -> list[str]:
    files = [path for path in toy.common.rglob("*") if path.is_file() and not path.is_symlink()]
    found = [str(path) for path in files if SECRET.encode() in path.read_bytes()]
    dump = toy.git("cat-file", "--batch", "--batch-all-objects").out
    found += ["an object"] if SECRET.encode() in dump else []
    return [f"I10: the secret is in {place}" for place in found]


def _refs(toy: Toy) -> dict[str, str]:
    lines = toy.git("for-each-ref", "--format=%(refname) %(objectname)").text.splitlines()
    return dict(line.split() for line in lines)


def _hashes(top: Path, *, skip: re.Pattern[str]) -> dict[str, str]:
    found = {}
    for path in sorted(top.rglob("*")):
        name = path.relative_to(top).as_posix()
        if skip.match(name) or (path.is_dir() and not path.is_symlink()):
            continue
        data = str(path.readlink()).encode() if path.is_symlink() else path.read_bytes()
        found[name] = f"{path.lstat().st_mode:o} {hashlib.sha256(data).hexdigest()}"
    return found
