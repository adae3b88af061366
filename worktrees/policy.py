"""Policy: whether a change may be taken. Pure; judges raw entries of git and never a rendering.

The checks run from cheap and structural to costly, and everything found is named. What only a
person may decide is kept apart from what is refused.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from worktrees.forms import fold, misformed, printable, resolved, text_of
from worktrees.manifests import gains, is_manifest
from worktrees.names import Oid
from worktrees.protection import protected
from worktrees.scope import Scope
from worktrees.texts import AddedLine, remarks

FILE: Final = "100644"
PROGRAM: Final = "100755"
LINK: Final = "120000"
REPOSITORY: Final = "160000"
ABSENT: Final = "000000"
_MEGABYTE: Final = 1_000_000
_LINK_NEVER: Final = frozenset({".gitattributes", ".gitignore", ".gitmodules", ".mailmap"})


class Rule(StrEnum):
    """The names of the checks, in their order."""

    ENVELOPE = "envelope"
    COUNT = "count"
    MODE = "mode"
    PATH = "path"
    SYMLINK = "symlink"
    SCOPE = "scope"
    PROTECTED = "protected"
    NESTED = "nested repository"
    SIZE = "size"
    TEXT = "text"
    DEPENDENCY = "dependency"


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One raw entry of a diff between two trees; the mode of a side that is absent is 000000."""

    old_mode: str
    new_mode: str
    old_oid: Oid
    new_oid: Oid
    status: str
    path: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """One finding: the rule, the path it is about (empty: the whole change), and why."""

    rule: Rule
    path: bytes
    why: str

    @property
    def name(self) -> str:
        """The path as text that is safe to print."""
        return printable(self.path.decode("utf-8", "backslashreplace"))

    @property
    def text(self) -> str:
        """The whole finding in one line that is safe to print."""
        place = f"{self.name}: " if self.path else ""
        return f"{self.rule}: {place}{printable(self.why)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """The limits of one job's change and the globs of this line.

    ``protect`` waits for a person beside the built-in list, ``made`` are the scopes of stations
    that make files on the merged tree: lock files among them pass.
    """

    files: int = 2000
    megabytes: float = 20
    protect: tuple[str, ...] = ()
    symlinks: bool = False
    made: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """All that is known of a change beside its entries; `worktrees.change` gathers it.

    ``siblings`` gives the names in the result of each touched directory and its parents, ``known``
    the directories that were there before, ``links`` the targets of new symbolic links,
    ``manifests`` both sides of each manifest.
    """

    sizes: Mapping[Oid, int] = field(default_factory=dict)
    added: Sequence[AddedLine] = ()
    siblings: Mapping[bytes, frozenset[bytes]] = field(default_factory=dict)
    known: frozenset[bytes] = frozenset()
    links: Mapping[bytes, bytes] = field(default_factory=dict)
    manifests: Mapping[bytes, tuple[bytes | None, bytes | None]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """What the policy found: refusals, what a person must look at, and remarks for the record."""

    refusals: tuple[Refusal, ...] = ()
    protected: tuple[Refusal, ...] = ()
    warnings: tuple[Refusal, ...] = ()

    @property
    def accepted(self) -> bool:
        """Whether nothing was refused; a person may still have to look."""
        return not self.refusals

    @property
    def only_scope(self) -> bool:
        """Whether every refusal is about the scope: the job strayed and did nothing worse."""
        return bool(self.refusals) and all(one.rule is Rule.SCOPE for one in self.refusals)


def judge(entries: Sequence[Entry], *, scope: Scope, rules: Rules, evidence: Evidence) -> Judgement:
    """Judge a change by everything that is known of it."""
    refused = [*structure(entries, rules)]
    people: list[Refusal] = []
    warned: list[Refusal] = []
    if len(entries) <= rules.files:
        refused += _links(evidence.links, scope)
        for entry in entries:
            path = text_of(entry.path)
            if not scope.allows(path):
                refused.append(_found(Rule.SCOPE, entry.path, "is outside the scope"))
            why = protected(path, new=entry.status == "A", extra=rules.protect, made=rules.made)
            if why:
                people.append(_found(Rule.PROTECTED, entry.path, why))
        refused += _nested(evidence.siblings)
        refused += _folded(entries, evidence)
        refused += _sizes(entries, evidence.sizes, rules)
        for remark in remarks(evidence.added):
            finding = _found(Rule.TEXT, remark.path, remark.why)
            (refused if remark.grave else warned).append(finding)
        for path_bytes, (before, after) in evidence.manifests.items():
            people += [
                _found(Rule(gain.rule), path_bytes, gain.why)
                for gain in gains(text_of(path_bytes), before, after)
            ]
    return Judgement(refusals=tuple(refused), protected=tuple(people), warnings=tuple(warned))


def structure(entries: Sequence[Entry], rules: Rules) -> tuple[Refusal, ...]:
    """Judge count, modes and path forms: what must hold before any object may be read."""
    if len(entries) > rules.files:
        why = f"{len(entries)} files change, {rules.files} may"
        return (_found(Rule.COUNT, b"", why),)
    found: list[Refusal] = []
    for entry in entries:
        why = _mode(entry, rules)
        if why:
            found.append(_found(Rule.MODE, entry.path, why))
        why = "" if entry.status == "D" else misformed(entry.path)
        if why:
            found.append(_found(Rule.PATH, entry.path, why))
    return tuple(found)


def _mode(entry: Entry, rules: Rules) -> str:
    modes = {entry.old_mode, entry.new_mode}
    if REPOSITORY in modes:
        return "is a repository of its own (a submodule entry)"
    if entry.status == "D" and entry.new_mode == ABSENT:
        return ""
    allowed = {FILE, PROGRAM} | ({LINK} if rules.symlinks else set())
    if entry.status not in {"A", "M", "T"}:
        return f"changes in a way that is not known ({entry.status})"
    if entry.new_mode not in allowed:
        return "is a symbolic link" if entry.new_mode == LINK else f"has mode {entry.new_mode}"
    if entry.status == "T" and entry.old_mode not in allowed:
        return f"was of another type before (mode {entry.old_mode})"
    return ""


def _links(links: Mapping[bytes, bytes], scope: Scope) -> Iterator[Refusal]:
    for path, target in links.items():
        name = text_of(path).rpartition("/")[2]
        if name.lower() in _LINK_NEVER:
            yield _found(Rule.SYMLINK, path, "must not be a symbolic link")
        place = resolved(path, target)
        if place is None:
            yield _found(Rule.SYMLINK, path, "points out of the repository or has a bad target")
        elif not scope.allows(place) and not scope.allows(f"{place}/any"):
            yield _found(Rule.SYMLINK, path, "points to a place outside the scope")


def _nested(siblings: Mapping[bytes, frozenset[bytes]]) -> Iterator[Refusal]:
    for directory, names in sorted(siblings.items()):
        low = {name.lower() for name in names}
        if b"head" in low and ({b"objects", b"refs"} <= low or b"commondir" in low):
            yield _found(Rule.NESTED, directory or b"./", "would be taken for a git repository")


def _folded(entries: Sequence[Entry], evidence: Evidence) -> Iterator[Refusal]:
    """Find new names that a file system which folds case could not tell from another one."""
    folded = {directory: _by_fold(names) for directory, names in evidence.siblings.items()}
    told: set[bytes] = set()
    for entry in entries:
        if entry.status != "A":
            continue
        here = entry.path
        while here and here not in evidence.known and here not in told:
            told.add(here)
            parent, _, name = here.rpartition(b"/")
            others = folded.get(parent, {}).get(fold(name), set()) - {name}
            if others:
                twin = text_of(min(others))
                yield _found(Rule.PATH, here, f"differs only in case or form from {twin}")
            here = parent


def _by_fold(names: frozenset[bytes]) -> dict[str, set[bytes]]:
    groups: dict[str, set[bytes]] = {}
    for name in names:
        groups.setdefault(fold(name), set()).add(name)
    return groups


def _sizes(entries: Sequence[Entry], sizes: Mapping[Oid, int], rules: Rules) -> Iterator[Refusal]:
    most = int(rules.megabytes * _MEGABYTE)
    counted: set[Oid] = set()
    total = 0
    for entry in entries:
        size = sizes.get(entry.new_oid, 0)
        if entry.new_oid not in counted:
            counted.add(entry.new_oid)
            total += size
        if size > most // 4:
            why = f"has {size} bytes, one file may have {most // 4}"
            yield _found(Rule.SIZE, entry.path, why)
    if total > most:
        yield _found(Rule.SIZE, b"", f"the change adds {total} bytes, it may add {most}")


def _found(rule: Rule, path: bytes, why: str) -> Refusal:
    return Refusal(rule=rule, path=path, why=why)


def wants_manifest(entry: Entry) -> bool:
    """Say whether both sides of this entry must be read for the check of dependencies."""
    return is_manifest(text_of(entry.path))
