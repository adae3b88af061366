"""Merges in memory, one swap of one ref, and the landing invariant checked before it."""

import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.conftest import FILES
from tests.run import ROOT, run
from tests.worktrees.marks import evil_script, fingerprint, sound
from worktrees.git import GitError, Identity, open_repository
from worktrees.merge import (
    Locked,
    NotForward,
    PostCheckFailed,
    advance,
    chain,
    landing_commit,
    landings,
    merge,
    post_check,
    salvage,
)
from worktrees.message import clean_title

MAIN = "refs/heads/main"
CORE = FILES["src/core.py"]
LONG = "".join(f"line {number}\n" for number in range(40))


def is_lock(path):
    """Say which files a station makes on the merged tree."""
    return path.endswith(".lock")


def land(git, base, branches, **more):
    """Compose, commit and give the landing commit."""
    made = chain(git, base, branches)
    told = {"run": "r", "title": "t", **more}
    return landing_commit(git, tree=made.tree, tip=base, branches=branches, **told)


def content(git, tree, path):
    """Give a file's bytes in a tree, or None."""
    answer = git("cat-file", "blob", f"{tree}:{path}", ok=(0, 128))
    return answer.out if answer.code == 0 else None


def test_disjoint_changes_merge(repository, base, commit):
    """Two branches that touch different files give one tree with both."""
    one, two = commit(base, {"a": "1\n"}), commit(base, {"b": "2\n"})

    merged = merge(repository.git, one, two)

    assert merged.conflicts == ()
    assert content(repository.git, merged.tree, "a") == b"1\n"
    assert content(repository.git, merged.tree, "b") == b"2\n"


def test_conflicts_are_named_by_path(repository, base, commit):
    """Each conflicting path is named as it is, unquoted, and the others are not."""
    path = "odd \u00e9 name"
    one = commit(base, {path: "1\n", "a": "1\n"})
    two = commit(base, {path: "2\n", "b": "2\n"})

    assert merge(repository.git, one, two).conflicts == (path,)


def test_a_chain_leaves_out_who_clashes_and_says_with_whom(repository, base, commit):
    """A clash with the base and one with a mate are told apart, and the rest goes on."""
    fork = commit(base, {"README.md": "theirs\n"})
    tip = commit(base, {"README.md": "moved\n"})
    good, mate, last = (
        commit(base, {"src/core.py": "ONE = 2\n"}),
        commit(base, {"src/core.py": "ONE = 3\n"}),
        commit(base, {"z": "z\n"}),
    )

    made = chain(
        repository.git, tip, [("good", good), ("old", fork), ("mate", mate), ("last", last)]
    )

    assert made.merged == ("good", "last")
    assert made.base_clash == {"old": ("README.md",)}
    assert made.mate_clash == {"mate": ("src/core.py",)}
    assert content(repository.git, made.tree, "z") == b"z\n"
    assert repository.git.tree_of(made.commit) == made.tree


def test_a_chain_of_nothing_is_the_base(repository, base):
    """Without branches the tree is the base's own."""
    made = chain(repository.git, base, [])

    assert (made.tree, made.commit) == (repository.git.tree_of(base), base)


def test_made_files_are_the_tips_and_never_clash(repository, base, commit):
    """What a station makes is taken from the tip, kept, restored or absent as the tip has it."""
    tip = commit(base, {"kept.lock": "tip\n", "gone.lock": "tip\n"})
    one = commit(tip, {"kept.lock": "one\n", "new.lock": "one\n", "a": "1\n"})
    two = commit(tip, {"kept.lock": "two\n", "gone.lock": None, "b": "2\n"})

    made = chain(repository.git, tip, [("one", one), ("two", two)], made=is_lock)

    assert made.merged == ("one", "two")
    assert content(repository.git, made.tree, "kept.lock") == b"tip\n"
    assert content(repository.git, made.tree, "gone.lock") == b"tip\n"
    assert content(repository.git, made.tree, "new.lock") is None
    assert content(repository.git, made.tree, "b") == b"2\n"
    assert not list(repository.factory.glob("index.*"))


def test_a_made_file_that_the_target_renamed_is_the_tips(repository, base, commit):
    """A clash that shows under the target's new name keeps the target's file there."""
    start = commit(base, {"old.lock": LONG})
    tip = commit(start, {"old.lock": None, "new.lock": LONG + "tip\n"})
    branch = commit(start, {"old.lock": LONG + "branch\n"})
    assert merge(repository.git, tip, branch).conflicts == ("new.lock",)

    made = chain(repository.git, tip, [("a", branch)], made=is_lock)

    assert made.merged == ("a",)
    assert made.tree == repository.git.tree_of(tip)


def test_a_clash_beside_a_made_file_is_still_a_clash(repository, base, commit):
    """Only when nothing else conflicts may a made file be ignored."""
    tip = commit(base, {"x.lock": "tip\n"})
    one = commit(tip, {"x.lock": "one\n", "README.md": "1\n"})
    two = commit(tip, {"x.lock": "two\n", "README.md": "2\n"})

    made = chain(repository.git, tip, [("one", one), ("two", two)], made=is_lock)

    assert made.mate_clash == {"two": ("README.md",)}


def test_the_landing_commit_says_what_was_tested(repository, base, commit):
    """Its tree, parents in order and trailers are exactly the landing's."""
    branches = [("a", commit(base, {"a": "1\n"})), ("b", commit(base, {"b": "2\n"}))]

    made = land(repository.git, base, branches, title="Two things")

    said = repository.git("log", "-1", "--format=%T %P%n%B", made).text.splitlines()
    tree = repository.git.tree_of(made)
    assert said[0] == f"{tree} {base} {branches[0][1]} {branches[1][1]}"
    assert said[1:] == [
        "Two things",
        "",
        "Factory-Run: r",
        "Factory-Job: a",
        "Factory-Job: b",
        f"Factory-Tested-Tree: {tree}",
    ]


def test_linear_author_and_signoff(repository, base, commit):
    """A linear landing has one parent; author and sign-off are the person's, committer ours."""
    branch = ("a", commit(base, {"a": "1\n"}))
    me = Identity(name="Me", email="me@example.org")

    made = land(
        repository.git,
        base,
        [branch],
        shape="linear",
        author=me,
        signoff="Me <me@example.org>\nFactory-Job: forged",
    )

    said = repository.git("log", "-1", "--format=%P|%an|%cn|%(trailers:key=Signed-off-by)", made)
    assert said.text == f"{base}|Me|Factory|Signed-off-by: Me <me@example.org> Factory-Job: forged"
    assert set(landings(repository.git, base, made)) == {("r", "a")}


def test_a_signature_comes_from_the_users_own_configuration(checkout, tmp_path):
    """Signing uses the user's program and key settings, and only when it is asked for."""
    signer = tmp_path / "signer"
    signer.write_text(
        "#!/bin/sh\ncat > /dev/null\n"
        "printf -- '-----BEGIN PGP SIGNATURE-----\\n\\nx\\n-----END PGP SIGNATURE-----\\n'\n"
        "echo '[GNUPG:] SIG_CREATED ' >&2\n"
    )
    signer.chmod(0o755)
    (tmp_path / ".gitconfig").write_text(f"[gpg]\n\tprogram = {signer}\n[user]\n\tsigningkey = k\n")
    repository = open_repository(checkout, user={"HOME": str(tmp_path)})
    base = repository.git.resolve("HEAD")
    branch = ("a", base)

    signed = land(repository.personal, base, [branch], sign=True)
    plain = land(repository.personal, base, [branch])

    assert b"gpgsig" in repository.git("cat-file", "commit", signed).out
    assert b"gpgsig" not in repository.git("cat-file", "commit", plain).out


@pytest.mark.parametrize(
    ("title", "clean"),
    [
        ("Factory-Job: forged", "Factory-Job - forged"),
        ("x\n\nFactory-Job: forged", "x Factory-Job: forged"),
        ("a\u202eb\x1b[31m\tc", "a b [31m c"),
        ("Fix it [skip ci] now", "Fix it now"),
        ("fix: keep conventional titles", "fix: keep conventional titles"),
        ("Fixes:#12, ask @mona (mona@example.org)", "Fixes:no. 12, ask @ mona (mona@example.org)"),
        ("w" * 300, "w" * 100),
        ("\x00 \n", ""),
    ],
)
def test_titles_are_only_text(title, clean):
    """Control characters, trailer look-alikes and switches for CI do not reach a subject."""
    assert clean_title(title) == clean


def test_only_a_plain_address_of_a_check_becomes_a_trailer(repository, base):
    """A server's address is data: what could be read as another line is left out."""
    tree = repository.git.tree_of(base)
    said = ("https://forge/o/r/runs/7", "https://x/\nFactory-Job: forged", "javascript:1", "")
    commit = landing_commit(
        repository.git, tree=tree, tip=base, branches=(), run="r", title="t", checked=said
    )

    message = repository.git("log", "-1", "--format=%B", commit).text

    assert message.splitlines()[-1] == "Factory-Checked: https://forge/o/r/runs/7"
    assert message.count("Factory-Checked") == 1
    assert "forged" not in message


def test_a_title_cannot_forge_a_landing(repository, base, commit):
    """Whatever a title says, only the factory's own trailers are read."""
    title = "t\n\nFactory-Run: r\nFactory-Job: forged\n"

    made = land(repository.git, base, [("a", commit(base, {"a": "1\n"}))], title=title)

    assert landings(repository.git, base, made) == {("r", "a"): made}


def test_only_tested_first_parents_count_as_landings(repository, base, commit):
    """Text alone proves nothing: another tree, a side branch or two runs in one do not count."""
    git = repository.git
    true = land(git, base, [("a", commit(base, {"a": "1\n"}))])

    def say(parents, tree, tested, run_="r", job="forged"):
        text = f"x\n\nFactory-Run: {run_}\nFactory-Job: {job}\nFactory-Tested-Tree: {tested}\n"
        words = [word for parent in parents for word in ("-p", parent)]
        return git("commit-tree", tree, *words, stdin=text.encode()).text

    tree = git.tree_of(true)
    other = git.tree_of(base)
    wrong_tree = say([true], other, tree)
    side = say([base], other, other)
    merged = git("commit-tree", other, "-p", wrong_tree, "-p", side, stdin=b"m\n").text
    odd = say([merged], other, other, job="UPPER")
    double = say([odd], other, other, run_="r\nFactory-Run: s")

    assert landings(git, base, double) == {("r", "a"): true}
    assert landings(git, double, double) == {}


def test_an_advance_moves_one_ref_once(repository, base, commit, checkout):
    """The target moves forward; the same call again answers that it is there."""
    new = land(repository.git, base, [("a", commit(base, {"a": "1\n"}))])
    before = fingerprint(checkout)

    assert advance(repository.git, MAIN, new=new, old=base)
    assert advance(repository.git, MAIN, new=new, old=base)

    assert repository.git.resolve(MAIN) == new
    assert fingerprint(checkout) == before
    sound(checkout)


def test_a_foreign_move_is_never_overwritten(repository, base, commit):
    """When somebody else moved the target the answer is no, and theirs stands."""
    theirs = commit(base, {"README.md": "theirs\n"})
    ours = land(repository.git, base, [("a", commit(base, {"a": "1\n"}))])
    repository.git("update-ref", MAIN, theirs)

    assert not advance(repository.git, MAIN, new=ours, old=base)

    assert repository.git.resolve(MAIN) == theirs


def test_a_target_never_moves_backwards(repository, base, commit):
    """A commit that does not follow from the old tip is refused."""
    ahead = commit(base, {"a": "1\n"})
    repository.git("update-ref", MAIN, ahead)

    with pytest.raises(NotForward):
        advance(repository.git, MAIN, new=base, old=ahead)

    assert repository.git.resolve(MAIN) == ahead


def test_a_new_target_is_made_once(repository, base):
    """An old value of zeros makes a ref that does not exist, and only then."""
    ref, zero = "refs/heads/factory/r/target", "0" * 40

    assert advance(repository.git, ref, new=base, old=zero)

    assert repository.git.resolve(ref) == base


def test_a_held_lock_is_waited_for(repository, base, commit):
    """A lock that goes away in time only delays the landing."""
    new = land(repository.git, base, [("a", commit(base, {"a": "1\n"}))])
    held = repository.common / f"{MAIN}.lock"
    held.touch()
    timer = threading.Timer(0.3, held.unlink)
    timer.start()

    assert advance(repository.git, MAIN, new=new, old=base)

    timer.join()


def test_a_lock_that_stays_is_reported(repository, base, commit, monkeypatch):
    """A lock of somebody else is never removed; after bounded tries the error says so."""
    monkeypatch.setattr("worktrees.merge.TRIES", 3)
    new = land(repository.git, base, [("a", commit(base, {"a": "1\n"}))])
    held = repository.common / f"{MAIN}.lock"
    held.touch()

    with pytest.raises(Locked, match="lock"):
        advance(repository.git, MAIN, new=new, old=base)

    assert held.exists()
    assert repository.git.resolve(MAIN) == base


LANDER = """
import sys
from pathlib import Path
from worktrees.git import open_repository
from worktrees.merge import advance
git = open_repository(Path(sys.argv[1])).git
landed = 0
while landed < 10:
    tip = git.resolve("refs/heads/main")
    tree = git.tree_of(tip)
    text = f"{sys.argv[2]}-{landed}".encode()
    new = git("commit-tree", tree, "-p", tip, stdin=text).text
    landed += advance(git, "refs/heads/main", new=new, old=tip)
"""


def test_eighty_contended_landings_all_survive(checkout):
    """Eight processes land ten commits each on one ref: 80 of 80 are in its history."""
    with ThreadPoolExecutor(8) as pool:
        argv = [sys.executable, "-c", LANDER, str(checkout)]
        list(pool.map(lambda n: run([*argv, str(n)], cwd=ROOT, timeout=55), range(8)))

    said = run(["git", "log", "--first-parent", "--format=%s", "main"], cwd=checkout).text
    landed = set(said.splitlines())
    assert {f"{n}-{k}" for n in range(8) for k in range(10)} <= landed
    sound(checkout)


def check(repository, old, branches, tree=None, **more):
    """Run the post-check on a composed tree, or on a given one."""
    tree = tree or chain(repository.git, old, branches, **more).tree
    post_check(repository.git, old=old, new_tree=tree, branches=branches, **more)


def edited(git, tree, *lines):
    """Give a tree with some entries replaced."""
    index = git.with_index(git.empty.parent / "edited")
    index("read-tree", tree)
    index("update-index", "--index-info", stdin="".join(lines).encode())
    return index("write-tree").text


def test_honest_merges_pass_the_check(repository, base, commit):
    """Same file in different places, disjoint files, deletions, and a moved target all pass."""
    tip = commit(base, {"src/core.py": "ZERO = 0\n" + CORE, "README.md": None})
    one = commit(base, {"src/core.py": CORE + "SIX = 6\n", "a": "1\n"})
    two = commit(base, {"src/api/users.py": None, "b": "2\n"})

    check(repository, tip, [("one", one), ("two", two)])


def test_a_file_renamed_by_the_target_is_followed(repository, base, commit):
    """A change that lands under the target's new name is allowed there."""
    start = commit(base, {"old.txt": LONG})
    tip = commit(start, {"old.txt": None, "new.txt": LONG})
    branch = commit(start, {"old.txt": LONG + "more\n"})

    merged = chain(repository.git, tip, [("a", branch)])
    assert content(repository.git, merged.tree, "new.txt") == (LONG + "more\n").encode()

    check(repository, tip, [("a", branch)])


@pytest.mark.parametrize("by", ["target", "mate"])
def test_a_file_renamed_by_a_branch_is_followed(repository, base, commit, by):
    """A branch's rename carries what the target or a mate changed at the old name."""
    start = commit(base, {"old.txt": LONG})
    mover = commit(start, {"old.txt": None, "new.txt": LONG})
    editor = commit(start, {"old.txt": LONG + "more\n"})
    tip = editor if by == "target" else start
    branches = [("mover", mover)] if by == "target" else [("editor", editor), ("mover", mover)]

    merged = chain(repository.git, tip, branches)
    assert content(repository.git, merged.tree, "new.txt") == (LONG + "more\n").encode()

    check(repository, tip, branches)


def test_a_path_that_no_branch_touched_fails_the_check(repository, base, commit):
    """A tree with one foreign change is refused and the path named."""
    branches = [("a", commit(base, {"a": "1\n"}))]
    tree = chain(repository.git, base, branches).tree
    blob = repository.git("rev-parse", f"{base}:README.md").text
    forged = edited(repository.git, tree, f"100644 {blob}\tsrc/core.py\n")

    with pytest.raises(PostCheckFailed, match=r"no branch touched.*src/core\.py"):
        check(repository, base, branches, forged)


def test_a_lost_change_fails_the_check(repository, base, commit):
    """A tree in which a branch's own file is not its own is refused: nothing drops silently."""
    branches = [("a", commit(base, {"a": "1\n"})), ("b", commit(base, {"b": "2\n"}))]
    tree = chain(repository.git, base, branches).tree
    zero = "0" * 40

    for line in (f"0 {zero}\ta\n", f"100755 {repository.git('rev-parse', f'{tree}:a').text}\ta\n"):
        with pytest.raises(PostCheckFailed, match="lost what"):
            check(repository, base, branches, edited(repository.git, tree, line))


def test_reverting_the_target_fails_the_check(repository, base, commit):
    """A tree built on an old target, which would take a newer change back, is refused."""
    tip = commit(base, {"README.md": "newer\n"})
    branches = [("a", commit(base, {"a": "1\n"}))]
    stale = chain(repository.git, base, branches).tree

    with pytest.raises(PostCheckFailed, match=r"README\.md"):
        check(repository, tip, branches, stale)


def test_made_files_may_differ(repository, base, commit):
    """What stations make on the merged tree is allowed to change, and nothing else with it."""
    tip = commit(base, {"x.lock": "tip\n"})
    branches = [("a", commit(tip, {"a": "1\n", "x.lock": "agent\n"}))]
    tree = chain(repository.git, tip, branches, made=is_lock).tree
    blob = repository.git("rev-parse", f"{base}:README.md").text
    remade = edited(repository.git, tree, f"100644 {blob}\tx.lock\n")

    check(repository, tip, branches, remade, made=is_lock)
    with pytest.raises(PostCheckFailed):
        check(repository, tip, branches, remade)


def test_salvage_keeps_every_commit_reachable(repository, base, commit, checkout):
    """Newer, older, unrelated, repeated: all that was ever salvaged stays reachable."""
    git = repository.git
    first = commit(base, {"a": "1\n"})
    second = commit(first, {"a": "2\n"})
    others = [commit(base, {"a": f"{number}\n"}) for number in range(3, 6)]

    for made in (first, second, first, *others, others[0], second):
        assert salvage(git, "r", "j", made) == "refs/factory/salvage/r/j"

    refs = git("for-each-ref", "--format=%(objectname)", "refs/factory/").text.split()
    reachable = set(git("rev-list", *refs).text.split())
    assert {first, second, *others} <= reachable
    assert len(refs) <= 5
    sound(checkout)


def test_merge_drivers_and_attributes_of_a_tree_never_run(checkout, tmp_path):
    """Attributes in the merged trees call no driver, not even one that the user configured."""
    proof = tmp_path / "executed"
    evil = evil_script(tmp_path / "evil", proof)
    run(["git", "config", "merge.m.driver", f"{evil} %O %A %B"], cwd=checkout)
    run(["git", "config", "diff.t.textconv", str(evil)], cwd=checkout)
    run(["git", "config", "diff.external", str(evil)], cwd=checkout)
    (checkout / ".gitattributes").write_text("* merge=m diff=t\n")
    run(["git", "add", "-A"], cwd=checkout)
    run(["git", "commit", "-q", "-m", "attributes"], cwd=checkout)
    repository = open_repository(checkout)
    base = repository.git.resolve("HEAD")
    git = repository.git.with_index(repository.factory / "i")

    def branch(text):
        git("read-tree", base)
        blob = git("hash-object", "-w", "--stdin", stdin=text).text
        git("update-index", "--index-info", stdin=f"100644 {blob}\tREADME.md\n".encode())
        return git("commit-tree", git("write-tree").text, "-p", base, stdin=b"m").text

    branches = [("a", branch(b"1\n")), ("b", branch(b"2\n"))]
    made = chain(repository.git, base, branches)
    post_check(repository.git, old=base, new_tree=made.tree, branches=branches[:1])

    assert made.mate_clash == {"b": ("README.md",)}
    assert not proof.exists()


def test_unrelated_histories_are_an_error(repository, base):
    """A commit that shares nothing with the target is no clash but an error."""
    tree = repository.git.tree_of(base)
    alone = repository.git("commit-tree", tree, stdin=b"alone").text

    with pytest.raises(GitError):
        chain(repository.git, base, [("a", alone)])
