"""The real bare repository behind each of the hub's repositories, and what git says about it."""

import re
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.run import Ran, run

NOTHING = "0" * 40
_TREE = "4b825dc642cb6eb9a060e54bf8d69288fbee4904"
_SETTINGS = """\
[http]
\treceivepack = true
[receive]
\thideRefs = refs/pull
\tautogc = false
[transfer]
\tfsckObjects = true
[uploadpack]
\tallowReachableSHA1InWant = true
\tallowTipSHA1InWant = true
[gc]
\tauto = 0
"""
_WORDS = {"A": "added", "M": "modified", "D": "removed", "R": "renamed", "T": "changed"}


@dataclass(frozen=True, slots=True, kw_only=True)
class CommitText:
    """A commit as git holds it."""

    sha: str
    tree: str
    parents: tuple[str, ...]
    author: tuple[str, str, str]
    committer: tuple[str, str, str]
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FileChange:
    """A file of a diff."""

    path: str
    previous: str | None
    status: str
    sha: str
    additions: int
    deletions: int
    patch: str | None


class Bare:
    """A bare repository."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._trees: dict[tuple[str, str], str | None] = {}

    def git(
        self,
        *words: str,
        stdin: bytes = b"",
        env: Mapping[str, str] | None = None,
        check: bool = True,
    ) -> Ran:
        """Run git in it."""
        return run(["git", "-C", self.path, *words], stdin=stdin, env=env, check=check)

    def refs(self, under: str = "refs") -> dict[str, str]:
        """Give the refs below a prefix."""
        lines = self.git("for-each-ref", "--format=%(refname) %(objectname)", under).text
        pairs = (line.split(" ", 1) for line in lines.splitlines())
        return dict(pairs)

    def ref(self, name: str) -> str | None:
        """Give what a full ref name points at."""
        ran = self.git("rev-parse", "--verify", "--quiet", "--end-of-options", name, check=False)
        return ran.text if ran.code == 0 else None

    def branch(self, name: str) -> str | None:
        """Give what a branch points at."""
        return self.ref(f"refs/heads/{name}")

    def commitish(self, name: str) -> str | None:
        """Give the commit that a branch, a tag or a hash names."""
        for full in (f"refs/heads/{name}", f"refs/tags/{name}", name):
            if (found := self.ref(f"{full}^{{commit}}")) is not None:
                return found
        return None

    def move(self, ref: str, new: str, old: str | None = None) -> bool:
        """Move a ref, when it still is where it is said to be; all zeros: delete or create."""
        words = ["update-ref", ref, new] if old is None else ["update-ref", ref, new, old]
        if new == NOTHING:
            words = ["update-ref", "-d", ref, *([old] if old else [])]
        return self.git(*words, check=False).code == 0

    def commit(self, sha: str) -> CommitText:
        """Read a commit."""
        return self.commits([sha])[0]

    def commits(self, words: Sequence[str], *, walk: bool = False) -> list[CommitText]:
        """Read commits, newest first; with ``walk`` also all that they reach."""
        form = "%H%x00%T%x00%P%x00%an%x00%ae%x00%aI%x00%cn%x00%ce%x00%cI%x00%B%x01"
        how = [] if walk else ["--no-walk=unsorted"]
        out = self.git("log", *how, f"--format={form}", *words, "--").out.decode(errors="replace")
        found = []
        for record in out.split("\x01"):
            if not record.strip():
                continue
            sha, tree, parents, an, ae, at, cn, ce, ct, message = record.lstrip("\n").split("\0")
            found.append(
                CommitText(
                    sha=sha,
                    tree=tree,
                    parents=tuple(parents.split()),
                    author=(an, ae, at),
                    committer=(cn, ce, ct),
                    message=message.rstrip("\n"),
                )
            )
        return found

    def signed(self, sha: str) -> bool:
        """Say whether a commit carries a signature."""
        head = self.git("cat-file", "commit", sha).out.partition(b"\n\n")[0]
        return b"\ngpgsig" in head

    def merge_base(self, one: str, other: str) -> str | None:
        """Give the last commit that both have."""
        ran = self.git("merge-base", one, other, check=False)
        return ran.text if ran.code == 0 else None

    def contains(self, commit: str, ancestor: str) -> bool:
        """Say whether a commit has another in its past."""
        return self.git("merge-base", "--is-ancestor", ancestor, commit, check=False).code == 0

    def count(self, span: str) -> int:
        """Count the commits of a range."""
        return int(self.git("rev-list", "--count", span).text)

    def changes(self, base: str | None, head: str) -> list[FileChange]:
        """Give what differs between two trees, renames found."""
        start = _TREE if base is None else base
        words = ("diff", "-M", "--no-color", "--no-ext-diff", "--full-index")
        raw = self.git(*words, "--raw", "--numstat", "-z", start, head).out.decode(errors="replace")
        pieces = iter(raw.split("\0"))
        seen: dict[str, tuple[str, str, str | None]] = {}
        numbers: dict[str, tuple[int, int]] = {}
        for piece in pieces:
            if piece.startswith(":"):
                *_, sha, letter = piece.split(" ")
                path, previous = next(pieces), None
                if letter[0] in "RC":
                    path, previous = next(pieces), path
                seen[path] = (letter[0], sha, previous)
            elif piece:
                plus, minus, path = piece.split("\t")
                if not path:
                    next(pieces)
                    path = next(pieces)
                numbers[path] = (int(plus.replace("-", "0")), int(minus.replace("-", "0")))
        patches = self._patches(start, head)
        return [
            FileChange(
                path=path,
                previous=previous,
                status=_WORDS[letter],
                sha=sha,
                additions=numbers[path][0],
                deletions=numbers[path][1],
                patch=patch,
            )
            for (path, (letter, sha, previous)), patch in zip(seen.items(), patches, strict=True)
        ]

    def _patches(self, base: str, head: str) -> list[str | None]:
        out = self.git("diff", "-M", "--no-color", "--no-ext-diff", base, head).out
        _, *each = re.split(r"^diff --git ", out.decode(errors="replace"), flags=re.MULTILINE)
        starts = ((text, text.find("\n@@")) for text in each)
        return [None if at < 0 else text[at + 1 :].rstrip("\n") for text, at in starts]

    def merged(self, ours: str, theirs: str) -> str | None:
        """Give the tree of a merge, or None where the two contradict each other."""
        if (ours, theirs) not in self._trees:
            ran = self.git("merge-tree", "--write-tree", ours, theirs, check=False)
            tree = ran.text.splitlines()[0] if ran.code == 0 else None
            self._trees[ours, theirs] = tree
        return self._trees[ours, theirs]

    def write(
        self,
        tree: str,
        parents: Sequence[str],
        message: str,
        *,
        author: tuple[str, str] = ("GitHub", "noreply@github.com"),
        at: str,
    ) -> str:
        """Write a commit as GitHub does: whoever wrote it is the author, GitHub commits it."""
        words = [word for parent in parents for word in ("-p", parent)]
        env = {
            "GIT_AUTHOR_NAME": author[0],
            "GIT_AUTHOR_EMAIL": author[1],
            "GIT_AUTHOR_DATE": at,
            "GIT_COMMITTER_NAME": "GitHub",
            "GIT_COMMITTER_EMAIL": "noreply@github.com",
            "GIT_COMMITTER_DATE": at,
        }
        return self.git(
            "commit-tree", tree, *words, "-F", "-", stdin=message.encode(), env=env
        ).text

    def replayed(self, commit: CommitText, tip: str, at: str) -> str | None:
        """Write a commit anew on top of another one, or give None where it does not fit."""
        parent = self.commit(commit.parents[0])
        start = self.write(parent.tree, [], "base", at=at)
        ours = self.write(self.commit(tip).tree, [start], "ours", at=at)
        theirs = self.write(commit.tree, [start], "theirs", at=at)
        tree = self.merged(ours, theirs)
        if tree is None:
            return None
        return self.write(tree, [tip], commit.message, author=commit.author[:2], at=at)

    def file(self, commit: str, path: str) -> tuple[str, bytes] | None:
        """Give the hash and the content of a file of a commit."""
        name = self.ref(f"{commit}:{path}")
        if name is None or self.git("cat-file", "-t", name).text != "blob":
            return None
        return name, self.git("cat-file", "blob", name).out

    def listing(self, commit: str, path: str) -> list[tuple[str, str, str, int]] | None:
        """Give kind, hash, path and size of what a folder of a commit holds."""
        where = f"{commit}:{path}" if path else f"{commit}^{{tree}}"
        ran = self.git("ls-tree", "-z", "--long", where, check=False)
        if ran.code:
            return None
        found = []
        for line in ran.out.decode(errors="replace").split("\0"):
            if line:
                head, name = line.split("\t", 1)
                _, kind, sha, size = head.split()
                full = f"{path}/{name}" if path else name
                found.append((kind, sha, full, int(size) if size.isdigit() else 0))
        return found

    def with_files(self, commit: str, files: Mapping[str, bytes | None]) -> str:
        """Write the tree of a commit with some files changed; None: gone."""
        lines = []
        for path, content in files.items():
            blob, mode = NOTHING, "0"
            if content is not None:
                blob = self.git("hash-object", "-w", "--stdin", stdin=content).text
                mode = "100644"
            lines.append(f"{mode} {blob}\t{path}\0")
        with tempfile.TemporaryDirectory(prefix="factory-hub-index-") as place:
            env = {"GIT_INDEX_FILE": f"{place}/index"}
            self.git("read-tree", commit, env=env)
            self.git("update-index", "-z", "--index-info", stdin="".join(lines).encode(), env=env)
            return self.git("write-tree", env=env).text

    def export(self, commit: str, place: Path) -> Path:
        """Write the files of a commit into a folder."""
        place.mkdir(parents=True)
        archive = self.git("archive", "--format=tar", commit).out
        run(["tar", "-x", "-f", "-", "-C", place], stdin=archive)
        return place


def copied(source: Path, place: Path) -> Bare:
    """Make a bare copy of a repository that takes pushes over HTTP."""
    run(["git", "clone", "-q", "--bare", "--no-hardlinks", source, place])
    return _opened(place)


def grown(files: Mapping[str, str], place: Path) -> Bare:
    """Make a bare repository of one commit on main that takes pushes over HTTP."""
    run(["git", "init", "-q", "--bare", "-b", "main", place])
    who = "Tess Ter <tess@example.org> 1767225600 +0000"
    told = f"commit refs/heads/main\ncommitter {who}\ndata 5\nstart\n".encode()
    for name, text in files.items():
        data = text.encode()
        told += f"M 100644 inline {name}\ndata {len(data)}\n".encode() + data + b"\n"
    bare = _opened(place)
    bare.git("fast-import", "--quiet", stdin=told)
    return bare


def _opened(place: Path) -> Bare:
    with (place / "config").open("a") as config:
        config.write(_SETTINGS)
    return Bare(place)
