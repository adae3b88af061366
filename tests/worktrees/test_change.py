"""Changes read from git: raw entries, sizes, added lines, siblings, and the view for people."""

import random
from pathlib import Path

import pytest

from tests.conftest import Commit
from worktrees.change import (
    added_lines,
    contents,
    counted,
    entries,
    gather,
    patches,
    paths,
    siblings,
    sizes,
    view,
)
from worktrees.git import GitError, Repository
from worktrees.names import Oid
from worktrees.policy import Evidence, Judgement, Rule, Rules, judge
from worktrees.scope import widest
from worktrees.texts import AddedLine


def lines(repository: Repository, before: Oid, after: Oid) -> list[AddedLine]:
    """Give the added lines between two commits."""
    return added_lines(repository.git, before, after, entries(repository.git, before, after))


def evidence(repository: Repository, before: Oid, after: Oid) -> Evidence:
    """Gather what the policy needs, by the usual limits."""
    changed = entries(repository.git, before, after)
    return gather(repository.git, before, after, changed, Rules())


def judged(repository: Repository, before: Oid, after: Oid) -> Judgement:
    """Judge what lies between two commits, over the widest scope."""
    changed = entries(repository.git, before, after)
    return judge(
        changed, scope=widest(), rules=Rules(), evidence=evidence(repository, before, after)
    )


def raw_commit(repository: Repository, base: Oid, listing: bytes) -> Oid:
    """Commit a tree that is given as index lines, whatever they hold."""
    git = repository.git.with_index(repository.factory / "raw-index")
    git("read-tree", base)
    git("update-index", "-z", "--index-info", stdin=listing)
    return Oid(git("commit-tree", git("write-tree").text, "-p", base, "-m", "m").text)


def test_entries_are_exact(repository: Repository, base: Oid, commit: Commit) -> None:
    """Modes, full ids, status and the bytes of the path come as git stores them, no renames."""
    moved = commit(base, {"src/moved.py": "ONE = 1\n", "README.md": None, "src/core.py": "x\n"})
    blob = repository.git("rev-parse", f"{moved}:src/core.py").text
    odd = raw_commit(repository, moved, f"100755 {blob}\ta\tb\nc\xff".encode("latin-1") + b"\0")

    found = {entry.path: entry for entry in entries(repository.git, base, odd)}

    assert set(found) == {b"README.md", b"a\tb\nc\xff", b"src/core.py", b"src/moved.py"}
    assert [found[path].status for path in sorted(found)] == ["D", "A", "M", "A"]
    assert found[b"a\tb\nc\xff"].new_mode == "100755"
    assert found[b"src/core.py"].new_oid == blob
    assert set(found[b"README.md"].new_oid) == {"0"}
    assert set(paths(repository.git, base, odd)) == set(found)


def test_a_rename_is_a_deletion_and_an_addition(
    repository: Repository, base: Oid, commit: Commit
) -> None:
    """Both sides of a move are judged: nothing leaves a scope under the name of a rename."""
    content = repository.git("cat-file", "blob", f"{base}:src/core.py").out
    moved = commit(base, {"src/core.py": None, "other/core.py": content})

    found = [(entry.status, entry.path) for entry in entries(repository.git, base, moved)]

    assert found == [("A", b"other/core.py"), ("D", b"src/core.py")]


def test_sizes_are_of_blobs_only(repository: Repository, base: Oid) -> None:
    """A missing object or one that is no blob is an error, never a size of nothing."""
    git = repository.git
    blob = Oid(git("rev-parse", f"{base}:README.md").text)

    assert sizes(git, [blob, blob]) == {blob: 20}
    assert sizes(git, []) == {}
    for wrong in (git.tree_of(base), base, Oid("1" * 40)):
        with pytest.raises(GitError):
            sizes(git, [blob, wrong])


def test_contents_keep_their_order(repository: Repository, base: Oid) -> None:
    """Objects come in the order asked for, and one that is not there is None."""
    found = contents(repository.git, [f"{base}:README.md", "1" * 40, f"{base}:none", f"{base}:src"])

    assert found[0] == ("blob", b"A small repository.\n")
    assert found[1:3] == [None, None]
    assert found[3] is not None
    assert found[3][0] == "tree"


def test_added_lines_have_their_place(repository: Repository, base: Oid, commit: Commit) -> None:
    """Each added line comes with its path and its number in the result."""
    after = commit(base, {
        "src/core.py": "ONE = 1\nNEW = 0\nTWO = 2\nFOUR = 4\nFIVE = 6\nSIX",
        "new.txt": "a\n\nb",
        "README.md": None,
    })  # fmt: skip

    found = [(line.path, line.number, line.text) for line in lines(repository, base, after)]

    assert found == [
        (b"new.txt", 1, "a"),
        (b"new.txt", 2, ""),
        (b"new.txt", 3, "b"),
        (b"src/core.py", 2, "NEW = 0"),
        (b"src/core.py", 5, "FIVE = 6"),
        (b"src/core.py", 6, "SIX"),
    ]


def test_content_cannot_pretend_to_be_a_patch(
    repository: Repository, base: Oid, commit: Commit
) -> None:
    """Lines that look like headers, hunks or the end of a diff are just added lines."""
    tricks = [
        "diff --git a/x b/x", "--- a/x", "+++ b/x", "@@ -1,0 +1,99 @@",
        "index 0000000000000000000000000000000000000000..1111111111111111111111111111111111111111",
        "\\ No newline at end of file", "-gone", "+come", "", "\r", "a\rb", "a\x0cb\x85c\u2028d",
        "GIT binary patch",
    ]  # fmt: skip
    plain = commit(base, {"t.txt": "\n".join(tricks) + "\n", "z.py": "z\n"})
    blob = repository.git("rev-parse", f"{plain}:z.py").text
    name = "diff --git a/x b/x\n@@ -0,0 +1,9 @@\n+"
    after = raw_commit(repository, plain, f"100644 {blob}\t{name}\0".encode())

    found = [line for line in lines(repository, base, after) if line.path == b"t.txt"]

    assert [line.text for line in found] == tricks
    assert [line.number for line in found] == list(range(1, len(tricks) + 1))


def test_attributes_hide_no_line(repository: Repository, base: Oid, commit: Commit) -> None:
    """A file that attributes call binary, or give a driver, still shows what it adds."""
    start = commit(base, {".gitattributes": "*.py -diff\n*.c diff=evil\n* -text\n"})
    repository.git("config", "diff.evil.textconv", "touch owned")
    repository.git("config", "diff.external", "touch owned")
    after = commit(start, {"a.py": "evil = 1\n", "b.c": "x\n", "c.bin": b"\0\x01\n\xff"})

    found = {line.path: line.text for line in lines(repository, start, after)}

    assert found == {b"a.py": "evil = 1", b"b.c": "x", b"c.bin": "\udcff"}
    assert not list(repository.git.empty.iterdir())


def test_a_changed_type_shows_its_lines(repository: Repository, base: Oid) -> None:
    """What a link held before counts as gone; the file in its place adds its lines."""
    git = repository.git
    link = git("hash-object", "-w", "--stdin", stdin=b"target").text
    file = git("hash-object", "-w", "--stdin", stdin=b"one\ntwo\n").text
    start = raw_commit(repository, base, f"120000 {link}\tx\0".encode())
    after = raw_commit(repository, start, f"100644 {file}\tx\0".encode())

    assert [line.text for line in lines(repository, start, after)] == ["one", "two"]


def test_siblings_are_those_of_the_result(
    repository: Repository, base: Oid, commit: Commit
) -> None:
    """The names beside a change are read in every directory above it, as they are afterwards."""
    after = commit(base, {"src/new/deep/x": "x\n", "src/core.py": None})
    changed = entries(repository.git, base, after)

    names, known = siblings(repository.git, base, after, changed)

    assert names == {
        b"": frozenset({b"README.md", b"src", b"tests"}),
        b"src": frozenset({b"api", b"new"}),
        b"src/new": frozenset({b"deep"}),
        b"src/new/deep": frozenset({b"x"}),
    }
    assert known == {b"", b"src"}


def test_nothing_is_read_behind_a_bad_mode(repository: Repository, base: Oid) -> None:
    """A submodule entry, whose object is nowhere, ends the reading and not the judgement."""
    after = raw_commit(repository, base, f"160000 {'1' * 40}\tsub\0".encode())

    assert evidence(repository, base, after) == Evidence()
    assert {one.rule for one in judged(repository, base, after).refusals} == {Rule.MODE}


def test_links_and_manifests_are_read(repository: Repository, base: Oid, commit: Commit) -> None:
    """The targets of links and both sides of manifests are gathered, and nothing unreadable."""
    git = repository.git
    link = git("hash-object", "-w", "--stdin", stdin=b"api").text
    start = commit(base, {"package.json": "{}", "go.mod": "module x\n"})
    huge = commit(start, {"package.json": '{"a": 1}', "go.mod": b"x" * 1_100_000, "Cargo.toml": ""})
    after = raw_commit(repository, huge, f"120000 {link}\tsrc/l\0".encode())
    rules = Rules(symlinks=True)

    found = gather(git, start, after, entries(git, start, after), rules)

    assert found.links == {b"src/l": b"api"}
    assert found.manifests[b"package.json"] == (b"{}", b'{"a": 1}')
    assert found.manifests[b"Cargo.toml"] == (None, b"")
    judgement = judge(entries(git, start, after), scope=widest(), rules=rules, evidence=found)
    assert {one.path for one in judgement.protected} >= {b"go.mod", b"package.json"}


def test_too_much_is_weighed_and_not_read(
    repository: Repository, base: Oid, commit: Commit
) -> None:
    """A change beyond the size limit is refused by its sizes; its lines are not even diffed."""
    after = commit(base, {f"f{n}": b"x\n" * 2_000_000 + bytes([n]) for n in range(6)})

    assert evidence(repository, base, after).added == ()
    assert {one.rule for one in judged(repository, base, after).refusals} == {Rule.SIZE}


def test_a_view_counts_for_people(repository: Repository, base: Oid, commit: Commit) -> None:
    """Files, added and removed lines and the patch are there to show."""
    after = commit(base, {"src/core.py": "ONE = 1\nTWO = 3\n", "naïve.txt": "a\rb\x0c\u2028c\nd\n"})

    seen = view(repository.git, base, after)

    assert (seen.files, seen.added, seen.removed) == (2, 3, 4)
    assert "naïve.txt" in seen.patch


WORDS = "value name result total café 日本 count items 'quoted' # note — fine 👩\u200d💻"


def honest(source: random.Random, number: int) -> dict[str, str | bytes | None]:
    """Write a change as people make them: code, prose, data, line ends, pictures, deletions."""

    def text(end: str = "\n") -> str:
        rows = (" ".join(source.choices(WORDS.split(), k=source.randint(1, 9))) for _ in range(30))
        return end.join(rows) + end

    kinds: list[dict[str, str | bytes | None]] = [
        {f"src/m{number}.py": text(), "src/core.py": text()},
        {f"docs/page {number}.md": text(), "README.md": text()},
        {f"win/f{number}.cs": "\ufeff" + text("\r\n")},
        {f"img/p{number}.png": b"\x89PNG\r\n\x1a\n" + source.randbytes(4000)},
        {"tests/test_core.py": text(), f"data/d{number}.json": '{"k": [1, 2]}\n'},
        {"README.md": None, f"README{number}.rst": text()},
        {f"old/latin{number}.txt": text().encode("latin-1", "replace")},
        {f"web/c{number}.tsx": text(), f"web/c{number}.css": "a { color: #fff }\n"},
        {".gitignore": f"*.log\n/build{number}/\n"},
        {f"db/{number}.sql": "INSERT INTO t VALUES (1, 'x');\n" * 50},
    ]
    return kinds[number % len(kinds)]


def test_a_hundred_honest_changes_are_not_refused(
    repository: Repository, base: Oid, commit: Commit
) -> None:
    """Ordinary work of many kinds gives no refusal and asks no person."""
    source = random.Random(11)  # noqa: S311 - the same changes on every run
    tip = base
    for number in range(100):
        after = commit(tip, honest(source, number))
        judgement = judged(repository, tip, after)
        assert (judgement.refusals, judgement.protected) == ((), ()), number
        tip = after


def test_reading_a_change_leaves_no_file(repository: Repository, base: Oid, commit: Commit) -> None:
    """Gathering writes nothing, neither where git stands nor in the repository."""
    after = commit(base, {"a.py": "x\n"})
    before = sorted(path for path in repository.common.rglob("*"))

    evidence(repository, base, after)
    view(repository.git, base, after)

    assert sorted(path for path in repository.common.rglob("*")) == before
    assert isinstance(repository.git.empty, Path)


def test_a_change_is_counted_and_shown_path_by_path(
    repository: Repository, base: Oid, commit: Commit
) -> None:
    """Lines that look like a patch's own cannot make another path of it, nor can odd names."""
    odd = 'we"ird \u00fc.txt'
    files: dict[str, str | bytes | None] = {
        odd: "diff --git a/x b/x\n--- a/x\n+++ b/x\n@@ -1 +1 @@\nno newline at the end",
        "bin": b"\0\1",
        "src/core.py": None,
    }
    after = commit(base, files)

    sizes = {size.path: (size.added, size.removed) for size in counted(repository.git, base, after)}
    shown = patches(repository.git, base, after)

    assert sizes[odd.encode()] == (5, 0)
    assert sizes[b"bin"] == (None, None)
    assert sizes[b"src/core.py"][0] == 0
    assert len(shown) == len(sizes)
    assert all(patch.startswith(b"diff --git ") for patch in shown)
    assert any(b"+diff --git a/x b/x" in patch for patch in shown)
    assert counted(repository.git, base, base) == patches(repository.git, base, base) == ()
