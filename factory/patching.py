"""Patch jobs: a job whose whole work is one change that git has already, applied inside a sandbox.

The change reaches the sandbox as objects of the repository's own read-only store, so its size,
binary content, modes and links do not matter. It is merged with three ways, so a base that went on
still takes it; what comes out is judged by scope, policy and tests as any agent's work.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from stations.bench import tracked
from stations.contract import Argv, Budget, Job, Kind, StationSpec
from worktrees.change import paths
from worktrees.git import Git
from worktrees.message import person_line
from worktrees.names import OID_PATTERN, JobId, Oid
from worktrees.scope import Scope, ScopeTooWide, faults

SOURCE: Final = "patch:"
CONFLICT: Final = "the change does not apply any more: conflicts in"
"""How the failure of a patch begins that the base has outgrown; the paths follow."""
DENIED: Final = "the change may not be written here:"
APPLIED: Final = "the change is here already"
_MOST_PEOPLE: Final = 20
_SPECIAL: Final = str.maketrans({char: f"\\{char}" for char in "\\*?[]"})

# HEAD is the tree to change. Two scratch commits on the state before the change make that state
# the merge base, whatever the history between is. A line of the brief's top level begins with one
# space, and no text in it can: JSON has no line break inside a text.
_APPLY: Final = f"""
fail() {{ printf '%s\\n' "$2" >&2; exit "$1"; }}
range=$(sed -n 's/^ "brief": "patch \\([0-9a-f]*\\)\\.\\.\\([0-9a-f]*\\)[\\\\"].*/\\1 \\2/p' \
  "$FACTORY_BRIEF")
before=${{range% *}} after=${{range#* }}
export GIT_CONFIG_NOSYSTEM=1 GIT_CONFIG_GLOBAL=/dev/null GIT_ATTR_NOSYSTEM=1 LC_ALL=C
export GIT_NO_REPLACE_OBJECTS=1 GIT_LITERAL_PATHSPECS=1
for commit in "$before" "$after"; do
  git cat-file -e "$commit^{{commit}}" || fail 4 "the repository does not hold $commit any more"
done
ours=$(git commit-tree 'HEAD^{{tree}}' -p "$before" -m ours)
theirs=$(git commit-tree "$after^{{tree}}" -p "$before" -m theirs)
code=0
found=$(git -c merge.renames=true -c merge.directoryRenames=conflict merge-tree --write-tree \
  --name-only --no-messages "$ours" "$theirs") || code=$?
tree=$(printf '%s\\n' "$found" | sed -n 1p)
[ "$code" != 1 ] || fail 3 "{CONFLICT} $(printf '%s\\n' "$found" | sed 1d | sort -u \
  | paste -sd ' ' -)"
[ "$code" = 0 ] || exit 4
if [ "$tree" = "$(git rev-parse 'HEAD^{{tree}}')" ]; then echo '{APPLIED}' >&2; exit 0; fi
git update-index -q --refresh || :
git read-tree -m -u HEAD "$tree" || fail 5 "{DENIED} $(git diff-tree -r --name-only HEAD "$tree" \
  | paste -sd ' ' -)"
git update-index -q --refresh || :
left=$(git diff-files --name-only | paste -sd ' ' -)
[ -z "$left" ] || fail 5 "{DENIED} $left"
"""
PROGRAM: Final[Argv] = ("/bin/sh", "-euc", _APPLY, "patch")
"""What a seat runs: it reads from the brief which change is meant."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Patch:
    """The change from one commit's tree to another one's."""

    before: Oid
    after: Oid

    @property
    def source(self) -> str:
        """The change as the source of a job."""
        return f"{SOURCE}{self.before}..{self.after}"


def patch_of(job: Job) -> Patch | None:
    """Give the change that a job applies; None for a job of another kind."""
    before, dots, after = job.source.removeprefix(SOURCE).partition("..")
    if not job.source.startswith(SOURCE) or not dots:
        return None
    if not (OID_PATTERN.fullmatch(before) and OID_PATTERN.fullmatch(after)):
        return None
    return Patch(before=Oid(before), after=Oid(after))


def since_fork(git: Git, onto: Oid, head: Oid) -> Patch | None:
    """Give what a head brings beyond where it left a branch; None when they share no history."""
    answer = git("merge-base", "--end-of-options", onto, head, ok=(0, 1))
    return None if answer.code else Patch(before=Oid(answer.text.split()[0]), after=head)


def oracle(spec: StationSpec) -> StationSpec:
    """Give a station at which changes are applied in the place of its agent; no model is asked."""
    return replace(
        spec, kind=Kind.COMMAND, agent=None, run=PROGRAM, commands=(), budget=Budget(), batch=1
    )


def job(
    git: Git,
    patch: Patch,
    *,
    name: JobId,
    title: str,
    at: StationSpec,
    needs: Sequence[JobId] = (),
    accept: Sequence[Argv] = (),
) -> Job | None:
    """Give the job that applies a change; None when the station may not write all of its paths."""
    scope = scope_of(git, patch, at.scope)
    if scope is None:
        return None
    return Job(
        id=name,
        title=title,
        brief=f"patch {patch.before}..{patch.after}\n\nApply exactly this change of the repository"
        " to the tree as it is now.",
        scope=scope,
        route=at.name,
        needs=tuple(needs),
        accept=tuple(accept),
        source=patch.source,
    )


def changed(git: Git, patch: Patch) -> tuple[str, ...]:
    """Give the paths that a change touches, both names of what it renames."""
    return tuple(
        path.decode("utf-8", "surrogateescape") for path in paths(git, patch.before, patch.after)
    )


def scope_of(git: Git, patch: Patch, within: Scope) -> Scope | None:
    """Give the scope that is exactly a change's paths; None when one of them is not ``within``.

    A path that no glob can name stands for its directory, and so does one among more other files
    than a sandbox can protect, where that directory is within.
    """
    touched = changed(git, patch)
    if not all(within.allows(path) for path in touched):
        return None
    holes = tuple(glob for glob in within.write if glob.startswith("!"))
    named = {path: _named(path) for path in touched}
    exact = Scope(write=(*dict.fromkeys(map(_glob, named.values())), *holes))
    if any(path != name for path, name in named.items()) and not exact.inside(within):
        return None
    files = tracked(git, patch.before)
    crowded = _crowded(touched, files)
    for most in range(len(crowded) + 1):
        wide = frozenset(crowded[:most])
        globs = (_glob(_parent(n) if _parent(n) in wide else n) for n in named.values())
        scope = Scope(write=(*dict.fromkeys(globs), *holes))
        if (scope == exact or scope.inside(within)) and _protects(scope, files):
            return scope
    return exact


def authors(git: Git, patch: Patch) -> tuple[str, ...]:
    """Give who wrote a change, oldest first, each as a line of credit that is only a name."""
    walk = ("--reverse", "--no-merges", "--end-of-options", f"{patch.before}..{patch.after}")
    said = git("log", "-z", "--format=%an%x00%ae", *walk, ok=(0, 128)).out.split(b"\0")
    names = iter([each.decode("utf-8", "replace") for each in said])
    lines = (person_line(name, address) for name, address in zip(names, names, strict=False))
    return tuple(dict.fromkeys(line for line in lines if line))[:_MOST_PEOPLE]


def credits_of(git: Git, jobs: Iterable[Job]) -> Mapping[JobId, tuple[str, ...]]:
    """Give whose work the jobs that apply changes bring."""
    known = {each.id: patch_of(each) for each in jobs}
    return {name: authors(git, patch) for name, patch in known.items() if patch is not None}


def _named(path: str) -> str:
    """Give the path, or the nearest directory above it, that a glob can name; else the root."""
    while path and faults([_glob(path)]):
        path = _parent(path)
    return path


def _glob(path: str) -> str:
    """Give the glob that means this path, and what lies below it."""
    return f"/{path.translate(_SPECIAL)}" if path else "**"


def _crowded(touched: Sequence[str], files: Sequence[str]) -> tuple[str, ...]:
    """Give the directories below the root that are touched, those with the most others first."""
    own = frozenset(touched)
    count = dict.fromkeys((_parent(path) for path in touched if "/" in path), 0)
    for path in files:
        if path not in own and _parent(path) in count:
            count[_parent(path)] += 1
    return tuple(sorted(count, key=lambda name: (-count[name], name)))


def _protects(scope: Scope, files: Sequence[str]) -> bool:
    try:
        scope.mounts(files)
    except ScopeTooWide:
        return False
    return True


def _parent(path: str) -> str:
    return path.rpartition("/")[0]
