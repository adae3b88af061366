"""Intake: work is durable or refused, through quarantine, and never half of it."""

import os
from pathlib import Path

import pytest

from tests.conftest import Commit
from tests.run import ROOT, run
from tests.worktrees.line import KEEP, REF, Desk, Exported, sit
from worktrees.failpoint import FailpointError, arm
from worktrees.git import GitError, Repository
from worktrees.intake import RefMoved, Refused, Same, Taken, intake
from worktrees.names import Oid
from worktrees.policy import Rule, Rules
from worktrees.scope import Scope, widest

POINTS = [
    *("shadow.quarantine.before", "shadow.quarantine.after", "shadow.index.before"),
    *("shadow.index.after", "shadow.migrate.before", "shadow.migrate.between"),
    *("shadow.migrate.after", "shadow.ref.before", "shadow.ref.after"),
]
SRC = Scope(write=("src/**",))


@pytest.fixture
def desk(repository: Repository, base: Oid, tmp_path: Path) -> Desk:
    """Give a workspace on the small repository."""
    return sit(repository, base, tmp_path / "room")


def rules_of(answer: object) -> set[Rule]:
    """Give the rules that refused."""
    assert isinstance(answer, Refused), answer
    return {refusal.rule for refusal in answer.judgement.refusals}


def left(desk: Desk) -> list[str]:
    """Give what lies in quarantine."""
    quarantine = desk.repository.factory / "quarantine"
    return [path.name for path in quarantine.iterdir()] if quarantine.exists() else []


def packed(
    desk: Desk, tree: str, *, parents: tuple[str, ...] | None = None, lacking: bool = False
) -> Exported:
    """Make a pack as a hostile export could: any tree, any parents, also without the files."""
    git = desk.repository.git
    own = desk.room / "hostile"
    (own / "pack").mkdir(parents=True, exist_ok=True)
    hostile = git.with_objects(own, [desk.repository.objects])
    flags = [word for one in (parents or (desk.base,)) for word in ("-p", one)]
    commit = Oid(hostile("commit-tree", tree, *flags, "-m", "m").text)
    wanted = f"{commit}\n^{desk.base}\n".encode()
    if lacking:
        pack = hostile("pack-objects", "--stdout", "-q", stdin=f"{commit}\n{tree}\n".encode()).out
    else:
        pack = hostile("pack-objects", "--revs", "--thin", "--stdout", "-q", stdin=wanted).out
    return Exported(pack=pack, commit=commit)


def hostile_tree(desk: Desk, listing: str) -> str:
    """Write a tree object into the hostile store from ``ls-tree`` lines."""
    own = desk.room / "hostile"
    (own / "pack").mkdir(parents=True, exist_ok=True)
    hostile = desk.repository.git.with_objects(own, [desk.repository.objects])
    return hostile("mktree", "--missing", stdin=listing.encode()).text


def blob(desk: Desk, content: bytes) -> str:
    """Write a blob into the hostile store."""
    own = desk.room / "hostile"
    (own / "pack").mkdir(parents=True, exist_ok=True)
    hostile = desk.repository.git.with_objects(own, [desk.repository.objects])
    return hostile("hash-object", "-w", "--stdin", stdin=content).text


def test_taken_work_is_durable_and_sound(desk: Desk) -> None:
    """Taken means: the job's ref points at the commit, its objects are ours, fsck is clean."""
    desk.write("src/new.py", "x = 1\n")

    taken = desk.take(scope=SRC)

    assert isinstance(taken, Taken)
    assert desk.repository.git.resolve(REF) == taken.commit
    said = run(["git", "fsck", "--full", "--strict"], cwd=desk.checkout)
    assert said.out + said.err == b""
    assert left(desk) == []
    assert not (desk.repository.common / "logs/refs/heads/factory").exists()


def test_a_refusal_leaves_nothing_behind(desk: Desk) -> None:
    """A change outside the scope is refused, and neither object nor ref of it stays."""
    desk.write("README.md", "mine\n")
    exported = desk.export()

    answer = desk.take(exported, scope=SRC)

    assert rules_of(answer) == {Rule.SCOPE}
    assert isinstance(answer, Refused)
    assert answer.commit is None
    assert desk.repository.git.resolve(exported.commit) is None
    assert desk.repository.git.resolve(REF) is None
    assert left(desk) == []


def test_refused_work_can_be_kept_for_a_person(desk: Desk) -> None:
    """Work that only strayed is kept at the salvage ref, and what lay there before stays too."""
    desk.write("README.md", "mine\n")
    first = desk.take(scope=SRC, keep=True)
    desk.write("README.md", "mine again\n")
    second = desk.take(scope=SRC, keep=True)

    assert isinstance(first, Refused)
    assert isinstance(second, Refused)
    refs = desk.repository.git("for-each-ref", "--format=%(objectname)", "refs/factory/").text
    assert {first.commit, second.commit} <= set(refs.split("\n"))
    assert desk.repository.git.resolve(KEEP) == first.commit


def test_harmful_objects_are_never_kept(desk: Desk) -> None:
    """A refused link is not kept, whoever asks for it."""
    (desk.tree / "src/link").symlink_to("/etc/passwd")

    answer = desk.take(keep=True)

    assert rules_of(answer) == {Rule.MODE}
    assert isinstance(answer, Refused)
    assert answer.commit is None
    assert desk.repository.git.resolve(KEEP) is None


def test_protected_paths_are_taken_and_named(desk: Desk) -> None:
    """When protected paths are the only finding the work is durable and a person is asked."""
    desk.write(".github/workflows/ci.yml", "on: push\n")

    taken = desk.take()

    assert isinstance(taken, Taken)
    assert [found.path for found in taken.judgement.protected] == [b".github/workflows/ci.yml"]
    assert desk.repository.git.resolve(REF) == taken.commit


@pytest.mark.parametrize(
    ("commit", "rule"),
    [("", "named no commit"), ("HEAD", "named no commit"), ("f" * 64, "named no commit"),
     ("f" * 40, "does not hold")],
)  # fmt: skip
def test_what_the_export_names_is_checked(desk: Desk, commit: str, rule: str) -> None:
    """A name that is no object id, or not in the pack, is refused."""
    desk.write("src/x.py", "x\n")
    exported = Exported(pack=desk.export().pack, commit=Oid(commit))

    answer = desk.take(exported)

    assert rules_of(answer) == {Rule.ENVELOPE}
    assert isinstance(answer, Refused)
    assert rule in answer.judgement.refusals[0].text


def test_a_commit_that_the_host_has_is_no_export(desk: Desk, commit: Commit) -> None:
    """An export that names somebody else's commit on the same base does not get it."""
    other = commit(desk.base, {"src/theirs.py": "x\n"})
    desk.write("src/x.py", "x\n")

    answer = desk.take(Exported(pack=desk.export().pack, commit=other))

    assert rules_of(answer) == {Rule.ENVELOPE}
    assert desk.repository.git.resolve(REF) is None


def test_the_commit_has_exactly_the_base_as_parent(desk: Desk, commit: Commit) -> None:
    """No parent, another parent or two parents are refused, and so is what is no commit."""
    other = commit(desk.base, {"other": "x\n"})
    tree = desk.repository.git.tree_of(other)

    for parents in ((other,), (desk.base, other)):
        assert rules_of(desk.take(packed(desk, tree, parents=parents))) == {Rule.ENVELOPE}
    exported = packed(desk, tree)
    assert rules_of(desk.take(Exported(pack=exported.pack, commit=Oid(tree)))) == {Rule.ENVELOPE}


def test_a_broken_pack_is_refused(desk: Desk) -> None:
    """Truncated, altered and foreign bytes are refused by name and leave nothing."""
    desk.write("src/x.py", "x\n")
    exported = desk.export()

    for pack in (b"", b"PACK", exported.pack[:-30], exported.pack[:20] + b"\0" * 400):
        assert rules_of(desk.take(Exported(pack=pack, commit=exported.commit))) == {Rule.ENVELOPE}
    assert left(desk) == []


@pytest.mark.parametrize("name", [".git", ".GIT", "git~1", ".g\u200cit", "..", "."])
def test_trees_that_git_would_not_write_are_refused(desk: Desk, name: str) -> None:
    """A pack with a tree entry that becomes .git somewhere is refused by git or by policy."""
    content = blob(desk, b"x\n")

    answer = desk.take(packed(desk, hostile_tree(desk, f"100644 blob {content}\t{name}\n")))

    assert rules_of(answer) <= {Rule.ENVELOPE, Rule.PATH}
    assert desk.repository.git.resolve(REF) is None


def test_a_submodule_entry_is_refused_before_its_size_is_asked(desk: Desk) -> None:
    """A gitlink, whose object is nowhere, is a named refusal and no crash."""
    answer = desk.take(packed(desk, hostile_tree(desk, f"160000 commit {'1' * 40}\tsub\n")))

    assert Rule.MODE in rules_of(answer)


def test_a_nested_repository_is_refused_in_either_form(desk: Desk) -> None:
    """A repository of its own in the tree is refused: as an entry and as plain files."""
    desk.work("git init -q --bare src/inner; touch src/inner/objects/x src/inner/refs/x")

    assert Rule.NESTED in rules_of(desk.take())

    desk.work(
        "rm -rf src/inner; mkdir src/inner; cd src/inner; unset GIT_DIR;"
        "git init -q .; echo x > x; git add x; git commit -qm m"
    )
    assert rules_of(desk.take()) == {Rule.MODE}


def test_half_a_nested_repository_that_was_there_counts(
    repository: Repository, base: Oid, commit: Commit, tmp_path: Path
) -> None:
    """The second half of a nested repository is refused though the change adds only one file."""
    half = commit(base, {"fix/objects/x": "x\n", "fix/refs/x": "x\n"})
    desk = sit(repository, half, tmp_path / "room")
    desk.write("fix/HEAD", "ref: refs/heads/main\n")

    assert rules_of(desk.take()) == {Rule.NESTED}


def test_a_small_pack_with_a_huge_file_is_refused(desk: Desk) -> None:
    """What unpacks to more than the limit is refused by its size, not by its packed size."""
    content = blob(desk, b"\0" * 30_000_000)
    exported = packed(desk, hostile_tree(desk, f"100644 blob {content}\tbomb\n"))

    answer = desk.take(exported)

    assert len(exported.pack) < 100_000
    assert Rule.SIZE in rules_of(answer)


def test_a_pack_beyond_the_limit_is_not_read(desk: Desk) -> None:
    """A pack larger than the job's limit is refused before git sees it."""
    desk.write("src/noise", os.urandom(3_000_000))

    assert rules_of(desk.take(rules=Rules(megabytes=1))) == {Rule.SIZE}


def test_the_cumulative_change_is_judged(
    repository: Repository, base: Oid, commit: Commit, tmp_path: Path
) -> None:
    """A repair is judged from where the refused work began, not from its own start."""
    refused = commit(base, {".github/workflows/x.yml": "on: push\n", "src/new.py": "x\n"})
    desk = sit(repository, refused, tmp_path / "room")
    desk.write("src/new.py", "y\n")

    answer = desk.take(judged_from=base, scope=SRC)

    assert rules_of(answer) == {Rule.SCOPE}


def test_a_repair_that_undoes_everything_is_no_change(
    repository: Repository, base: Oid, commit: Commit, tmp_path: Path
) -> None:
    """Back at the tree that the work is judged against there is nothing to take."""
    refused = commit(base, {"src/new.py": "x\n"})
    desk = sit(repository, refused, tmp_path / "room")
    (desk.tree / "src/new.py").unlink()

    assert desk.take(judged_from=base) == Same()


def test_a_ref_that_moved_is_not_overwritten(desk: Desk, commit: Commit) -> None:
    """When somebody else moved the job's ref, nothing is moved and the caller is told."""
    desk.write("src/x.py", "x\n")
    other = commit(desk.base, {"src/theirs.py": "x\n"})
    desk.repository.git("update-ref", REF, other)

    with pytest.raises(RefMoved):
        desk.take()

    assert desk.repository.git.resolve(REF) == other


def test_intake_may_be_repeated(desk: Desk) -> None:
    """The same export taken twice is taken, once."""
    desk.write("src/x.py", "x\n")
    exported = desk.export()

    assert desk.take(exported) == desk.take(exported)


@pytest.mark.parametrize("point", POINTS)
def test_a_fault_at_any_point_is_repaired_by_doing_it_again(desk: Desk, point: str) -> None:
    """Whatever step fails, the ref is at the work or not there, and a second intake succeeds."""
    desk.write("src/x.py", "x\n")
    exported = desk.export()
    arm(f"{point}:raise")
    try:
        with pytest.raises(FailpointError):
            desk.take(exported)
    finally:
        arm(None)

    assert desk.repository.git.resolve(REF) in {None, exported.commit}
    assert isinstance(desk.take(exported), Taken)
    assert left(desk) == []
    assert run(["git", "fsck", "--full", "--strict"], cwd=desk.checkout).out == b""


KILLED = """
import sys
from pathlib import Path
from worktrees.failpoint import arm
from worktrees.git import open_repository
from worktrees.intake import intake
from worktrees.policy import Rules
from worktrees.scope import widest
checkout, pack, commit, base, ref, point = sys.argv[1:]
arm(f"{point}:kill")
intake(open_repository(Path(checkout)), Path(pack), commit, base=base, judged_from=base,
       scope=widest(), rules=Rules(), ref=ref, old=None)
"""


@pytest.mark.parametrize("point", ["shadow.index.after", "shadow.migrate.between",
                                   "shadow.migrate.after", "shadow.ref.after"])  # fmt: skip
def test_a_kill_in_intake_loses_nothing(desk: Desk, point: str) -> None:
    """After kill -9 the repository is sound and the same export can be taken in."""
    desk.write("src/x.py", "x\n")
    exported = desk.export()
    pack = desk.room / "pack"
    pack.write_bytes(exported.pack)

    words = [str(desk.checkout), str(pack), exported.commit, desk.base, REF, point]
    ran = run(
        [ROOT / ".venv/bin/python", "-c", KILLED, *words],
        check=False,
        env={"PYTHONPATH": str(ROOT)},
    )

    assert ran.code == -9
    assert isinstance(desk.take(exported), Taken)
    assert run(["git", "fsck", "--full", "--strict"], cwd=desk.checkout).out == b""


def test_a_full_disk_is_no_refusal(desk: Desk) -> None:
    """When the machine is at fault an error says so; the work is not blamed."""
    desk.write("src/noise", os.urandom(200_000))
    exported = desk.export()
    script = KILLED.replace("import sys", "import sys, os; os.environ.clear(); import resource")
    words = [str(desk.checkout), str(desk.room / "pack"), exported.commit, desk.base, REF, "none"]
    (desk.room / "pack").write_bytes(exported.pack)
    inside = [
        "unshare",
        "-m",
        "sh",
        "-ec",
        'mount -t tmpfs -o size=64k none "$1"; shift; "$@"',
        "-",
    ]
    quarantine = desk.repository.factory / "quarantine"
    quarantine.mkdir()

    ran = run(
        [*inside, quarantine, ROOT / ".venv/bin/python", "-c", script, *words],
        check=False,
        env={"PYTHONPATH": str(ROOT)},
    )

    assert b"No space left on device" in ran.err
    assert ran.code == 1
    assert desk.repository.git.resolve(REF) is None


def test_policy_that_cannot_read_refuses(desk: Desk) -> None:
    """A tree that lacks an object is refused: no check is skipped for want of data."""
    tree = hostile_tree(desk, f"100644 blob {'2' * 40}\tx\n")

    answer = desk.take(packed(desk, tree, lacking=True))

    assert rules_of(answer) == {Rule.ENVELOPE}


def test_a_dead_repository_is_an_error_and_no_refusal(desk: Desk) -> None:
    """When the ref cannot be written for a reason of the machine, the caller gets that error."""
    desk.write("src/x.py", "x\n")
    exported = desk.export()
    lock = desk.repository.common / f"{REF}.lock"
    lock.parent.mkdir(parents=True)
    lock.touch()

    with pytest.raises(GitError, match=r"\.lock"):
        intake(
            desk.repository, exported.pack, exported.commit, base=desk.base,
            judged_from=desk.base, scope=widest(), rules=Rules(), ref=REF, old=None,
        )  # fmt: skip


def test_refused_work_is_kept_once(desk: Desk) -> None:
    """Keeping the same refused work again changes nothing."""
    desk.write("README.md", "mine\n")
    exported = desk.export()

    assert desk.take(exported, scope=SRC, keep=True) == desk.take(exported, scope=SRC, keep=True)

    refs = desk.repository.git("for-each-ref", "--format=%(refname)", "refs/factory/").text
    assert refs == KEEP


def test_a_doubt_is_a_refusal(desk: Desk) -> None:
    """Rules that cannot be understood let nothing pass."""
    desk.write("src/x.py", "x\n")

    assert rules_of(desk.take(rules=Rules(protect=("./x",)))) == {Rule.ENVELOPE}
    assert desk.repository.git.resolve(REF) is None
