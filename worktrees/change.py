"""Change: what lies between two commits, as git's raw entries and bytes; unidiff only to show it.

Everything read here was written by an agent: sizes are asked before content, paths are bytes,
and the patch is read by its counted hunks, whose lines cannot pretend to be anything else.
"""

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from worktrees.forms import misformed
from worktrees.git import Git, GitError
from worktrees.manifests import MOST_BYTES
from worktrees.names import Oid
from worktrees.policy import (
    LINK,
    REPOSITORY,
    Entry,
    Evidence,
    Rule,
    Rules,
    structure,
    wants_manifest,
)
from worktrees.texts import AddedLine

RAW: Final = ("diff-tree", "-r", "--no-commit-id", "--no-renames", "--full-index")
PATCH: Final = (*RAW, "-p", "-U0", "--no-ext-diff", "--no-textconv", "--text", "--no-color", "-D")
_HUNK: Final = re.compile(rb"@@ -\d+(?:,(\d+))? \+(\d+)(?:,(\d+))? @@")
_INDEX: Final = re.compile(rb"index ([0-9a-f]+)\.\.([0-9a-f]+)(?: \d+)?$")
_MOST_LINK: Final = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """How large a change is for people: files, added and removed lines, and the patch to show."""

    files: int
    added: int
    removed: int
    patch: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """How many lines a change adds to one path and removes from it; both None for a binary."""

    path: bytes
    added: int | None
    removed: int | None


def entries(git: Git, before: Oid, after: Oid) -> tuple[Entry, ...]:
    """Give the raw entries between two commits or trees, in git's order."""
    parts = git(*RAW, "-z", "--raw", "--end-of-options", before, after).parts
    found: list[Entry] = []
    for meta, path in zip(parts[::2], parts[1::2], strict=True):
        old_mode, new_mode, old, new, status = meta.decode("ascii").removeprefix(":").split(" ")
        found.append(
            Entry(
                old_mode=old_mode,
                new_mode=new_mode,
                old_oid=Oid(old),
                new_oid=Oid(new),
                status=status,
                path=path,
            )
        )
    return tuple(found)


def paths(git: Git, before: Oid, after: Oid) -> tuple[bytes, ...]:
    """Give the changed paths between two commits or trees."""
    return tuple(entry.path for entry in entries(git, before, after))


def sizes(git: Git, oids: Iterable[Oid]) -> dict[Oid, int]:
    """Give the size of each blob; raises `GitError` when one is absent or no blob."""
    wanted = sorted(set(oids))
    if not wanted:
        return {}
    answer = git("cat-file", "--batch-check", stdin="".join(f"{oid}\n" for oid in wanted).encode())
    found: dict[Oid, int] = {}
    for oid, line in zip(wanted, answer.out.decode("ascii").splitlines(), strict=True):
        words = line.split(" ")
        if len(words) != 3 or words[0] != oid or words[1] != "blob":  # noqa: PLR2004
            raise GitError(("cat-file", oid), 1, f"{line}: a blob was expected".encode())
        found[oid] = int(words[2])
    return found


def contents(git: Git, names: Collection[str | bytes]) -> list[tuple[str, bytes] | None]:
    """Give type and bytes of each named object in order, None for one that is not there.

    A name holds no newline; ask for sizes before, since all of it is held at once.
    """
    if not names:
        return []
    asked = [name.encode() if isinstance(name, str) else name for name in names]
    out = git("cat-file", "--batch", stdin=b"".join(name + b"\n" for name in asked)).out
    found: list[tuple[str, bytes] | None] = []
    at = 0
    for _ in asked:
        end = out.index(b"\n", at)
        words = out[at:end].split(b" ")
        at = end + 1
        if words[-1] in {b"missing", b"ambiguous"}:
            found.append(None)
            continue
        size = int(words[-1])
        found.append((words[-2].decode("ascii"), out[at : at + size]))
        at += size + 1
    return found


def added_lines(git: Git, before: Oid, after: Oid, changed: Sequence[Entry]) -> list[AddedLine]:
    """Give every added line; the blobs that a hunk stands between say which entry it is of."""
    by_blobs = {(entry.old_oid, entry.new_oid): entry.path for entry in changed}
    by_new = {entry.new_oid: entry.path for entry in changed}
    patch = git(*PATCH, "--end-of-options", before, after).out
    found: list[AddedLine] = []
    path = b""
    lines = iter(patch.split(b"\n"))
    for line in lines:
        if match := _INDEX.match(line):
            old, new = (Oid(side.decode("ascii")) for side in match.groups())
            # A changed type is shown as a deletion and a creation.
            path = by_blobs.get((old, new)) or by_new.get(new, b"")
        elif match := _HUNK.match(line):
            removed, number = int(match.group(1) or 1), int(match.group(2))
            found += _hunk(lines, path, removed, number, int(match.group(3) or 1))
    return found


def _hunk(
    lines: Iterator[bytes], path: bytes, removed: int, number: int, added: int
) -> Iterator[AddedLine]:
    while removed or added:
        line = next(lines, None)
        if line is None:
            msg = "the patch ends within a hunk"
            raise ValueError(msg)
        if line.startswith(b"-"):
            removed -= 1
        elif line.startswith(b"+"):
            added -= 1
            text = line[1:].decode("utf-8", "surrogateescape")
            yield AddedLine(path=path, number=number, text=text)
            number += 1


def siblings(
    git: Git, before: Oid, after: Oid, changed: Sequence[Entry]
) -> tuple[dict[bytes, frozenset[bytes]], frozenset[bytes]]:
    """Give the names in each touched directory of the result, and the directories known before."""
    places = {b""}
    for entry in changed:
        here = entry.path
        while here:
            here = here.rpartition(b"/")[0]
            places.add(here)
    asked = sorted(place for place in places if not place or not misformed(place))
    roots = (after.encode() + b":", before.encode() + b":")
    answers = contents(git, [root + place for root in roots for place in asked])
    result, known = answers[: len(asked)], answers[len(asked) :]
    width = len(after) // 2
    names = {
        place: frozenset(_tree_names(answer[1], width))
        for place, answer in zip(asked, result, strict=True)
        if answer is not None and answer[0] == "tree"
    }
    return names, frozenset(p for p, answer in zip(asked, known, strict=True) if answer)


def _tree_names(tree: bytes, width: int) -> Iterator[bytes]:
    at = 0
    while at < len(tree):
        start = tree.index(b" ", at) + 1
        end = tree.index(b"\0", start)
        yield tree[start:end]
        at = end + 1 + width


def gather(git: Git, before: Oid, after: Oid, changed: Sequence[Entry], rules: Rules) -> Evidence:
    """Give all that the policy wants to know, and read nothing that its first rules refuse."""
    refused = structure(changed, rules)
    if any(one.rule in {Rule.COUNT, Rule.MODE} for one in refused):
        return Evidence()
    new = [entry for entry in changed if entry.status != "D" and entry.new_mode != REPOSITORY]
    manifests = [entry for entry in changed if wants_manifest(entry)]
    weighed = sizes(git, [*(e.new_oid for e in new), *(_old(e) for e in manifests if _old(e))])
    added_sizes = {entry.new_oid: weighed[entry.new_oid] for entry in new}
    names, known = siblings(git, before, after, changed)
    links = [entry for entry in new if entry.new_mode == LINK]
    targets = contents(git, [e.new_oid for e in links if weighed[e.new_oid] <= _MOST_LINK])
    fits = sum(added_sizes.values()) <= rules.megabytes * 1_000_000
    return Evidence(
        sizes=added_sizes,
        added=added_lines(git, before, after, changed) if fits else (),
        siblings=names,
        known=known,
        links=_targets(links, targets, weighed),
        manifests=_both_sides(git, manifests, weighed),
    )


def _old(entry: Entry) -> Oid:
    return Oid("") if entry.status == "A" else entry.old_oid


def _targets(
    links: Sequence[Entry],
    targets: Sequence[tuple[str, bytes] | None],
    weighed: Mapping[Oid, int],
) -> dict[bytes, bytes]:
    read = iter(targets)
    found: dict[bytes, bytes] = {}
    for entry in links:
        answer = next(read) if weighed[entry.new_oid] <= _MOST_LINK else None
        # An unread target is an empty one, which the policy refuses.
        found[entry.path] = answer[1] if answer else b""
    return found


def _both_sides(
    git: Git, manifests: Sequence[Entry], weighed: Mapping[Oid, int]
) -> dict[bytes, tuple[bytes | None, bytes | None]]:
    found: dict[bytes, tuple[bytes | None, bytes | None]] = {}
    for entry in manifests:
        sides: list[bytes | None] = []
        for oid in (_old(entry), Oid("") if entry.status == "D" else entry.new_oid):
            if not oid:
                sides.append(None)
            elif weighed[oid] > MOST_BYTES:
                sides.append(b"\0" * (MOST_BYTES + 1))
            else:
                answer = contents(git, [oid])[0]
                sides.append(answer[1] if answer else b"\xff")
        found[entry.path] = (sides[0], sides[1])
    return found


def view(git: Git, before: Oid, after: Oid, *, context: int = 3) -> Counts:
    """Give a change as people see it: counts and the patch, for display and never for judgement."""
    from unidiff.patch import PatchSet

    patch = git(
        *("-c", "core.quotePath=false"),
        *RAW,
        *("-p", f"-U{context}", "--no-ext-diff"),
        *("--no-textconv", "--no-color", "--end-of-options", before, after),
    ).out.decode("utf-8", "surrogateescape")
    parsed = PatchSet(patch)
    return Counts(files=len(parsed), added=parsed.added, removed=parsed.removed, patch=patch)


def counted(git: Git, before: Oid, after: Oid) -> tuple[Size, ...]:
    """Give how large a change is, path by path."""
    found: list[Size] = []
    for record in git(*RAW, "-z", "--numstat", "--end-of-options", before, after).parts:
        added, removed, path = record.split(b"\t", 2)
        lines = [None if number == b"-" else int(number) for number in (added, removed)]
        found.append(Size(path=path, added=lines[0], removed=lines[1]))
    return tuple(found)


def patches(git: Git, before: Oid, after: Oid, *, context: int = 3) -> tuple[bytes, ...]:
    """Give a change as one patch for each path, for people and models and never for judgement."""
    patch = git(
        *("-c", "core.quotePath=false", *RAW, "-p", f"-U{context}", "--no-ext-diff"),
        *("--no-textconv", "--no-color", "--end-of-options", before, after),
    ).out
    mark = b"diff --git "  # no line of a file begins a line of a patch: a sign stands before it
    _, *parts = (b"\n" + patch.removesuffix(b"\n")).split(b"\n" + mark)
    return tuple(mark + part + b"\n" for part in parts)
