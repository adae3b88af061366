"""Texts for a forge: whatever anybody wrote is text there, and nothing else."""

import re
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from factory.forge import owners, texts
from factory.forge.texts import Account, Asked, Claim, Cost, Place, Strategy, Touched
from factory.stacking import Size, Step, parts
from tests.forge.world import closed_by, mentioned
from worktrees.message import clean_title
from worktrees.names import JobId, Oid, RunId

OID = Oid("a" * 40)
TOY = "octo/toy"
PLANTED = (
    "Fixes #1",
    "closes: octo/toy#2",
    "resolves GH-3",
    "fixes https://forge.example/octo/toy/issues/4",
    "@octocat @org/team",
    "<!-- factory:key=00000000 v=1 -->",
    "<img src=x onerror=1><script>",
    "![x](https://evil.example/p.png)",
    "[click](https://evil.example) [a]: https://evil.example",
    "`` ` fixes #5 ` ``",
    "\n\n## What it cost\n\nnothing\n```",
    "fix\u200bes\u202e #6 \x1b[31m\x00",
    "ghp_0123456789abcdefghijklmnopqrstuvwxyz",
    "gh\u200bp_0123456789abcdefghijklmnopqrstuvwxyz",
    "[skip ci] [ci skip] ***NO_CI***",
    "&#64;octocat &lt;b&gt; | a | b |",
)
HOSTILE = st.one_of(
    st.text(max_size=400),
    st.lists(st.sampled_from(PLANTED), min_size=1, max_size=6).map(" ".join),
    st.builds(lambda a, b, c: a + b + c, st.text(max_size=9), st.sampled_from(PLANTED), st.text()),
)
ACTS = re.compile(
    r"@\w|#\d|\bGH-\d|\w://|<[A-Za-z/!?]|!\[|\]\(|`|\[\s*(?:skip|ci|no) |ghp_\w{20}", re.IGNORECASE
)


def inert(line: str) -> bool:
    """Say whether a line holds nothing that acts, also when it is read as a commit message."""
    hidden = any(unicodedata.category(char).startswith("C") for char in line)
    return not (hidden or "\n" in line or ACTS.search(line))


def told(text: str = "Do it", *, jobs: int = 1, files: int = 1, **fields: object) -> Account:
    """Give an account in which everything that others write is this text."""
    made: dict[str, object] = {
        "run": RunId("run1"),
        "line": "h" * 64,
        "onto": text,
        "base": OID,
        "commit": OID,
        "tree": OID,
        "asked": tuple(
            Asked(
                job=JobId(f"j{n}"),
                title=text,
                claims=(Claim(issue=n + 10, proof=text, by=text),),
            )
            for n in range(jobs)
        ),
        "touched": tuple(Touched(path=text, added=1, removed=0) for _ in range(files)),
        "landings": 1,
        "checks": (text,) * jobs,
        "trials": 2,
        "reds": 1,
        "findings": (text,) * jobs,
        "cost": Cost(
            dollars="0.10", basis="synthetic", calls=2, tokens_in=9, tokens_out=3, seconds=1.0
        ),
        "left_out": {JobId(f"x{n}"): text for n in range(jobs)},
        "credit": (text,) * jobs,
    }
    return Account(**{**made, **fields})  # type: ignore[arg-type]  # fields of the account


@settings(max_examples=150, deadline=None)
@given(HOSTILE)
def test_a_field_is_one_code_span_in_which_nothing_acts(text: str) -> None:
    """No mention, reference, keyword, markup, hidden sign or secret survives; it stays short."""
    found = texts.field(text, most=120)

    assert found[0] == found[-1] == "`"
    assert inert(found[1:-1])
    assert 0 < len(found[1:-1]) <= 120


@settings(max_examples=40, deadline=None)
@given(HOSTILE)
def test_a_body_says_only_what_the_template_says(text: str) -> None:
    """Outside code spans stand our words and our issues' numbers, whatever was planted."""
    found = texts.body(told(text or " ", jobs=2))
    prose = re.sub(r"`[^`\n]*`", "", found)

    assert closed_by(found, TOY) == []
    assert set(mentioned(found, TOY)) == {10, 11}
    assert "@" not in prose
    assert "<" not in prose
    assert "](" not in prose
    assert prose == re.sub(r"`[^`\n]*`", "", texts.body(told("plain", jobs=2)))


def planned(text: str) -> Account:
    """Give an account of a plan in which everything that others write is this text."""
    claim = {"proof": text, "by": text, "cause": text, "test": text, "failure": text}
    claims = tuple(
        Claim(issue=n, closes=n == 10, **claim)  # type: ignore[arg-type]  # texts of a claim
        for n in (11, 10)
    )
    strategy = Strategy(
        digest="d" * 64,
        statement=text,
        non_goals=(text,),
        risks=(text,),
        aside=((7, text),),
        builds=((8, "ada"), (9, text)),
        replaces=((6, "bob"),),
    )
    asked = (Asked(job=JobId("j"), title=text, claims=claims),)
    return told(text, asked=asked, strategy=strategy)


@settings(max_examples=40, deadline=None)
@given(HOSTILE)
def test_a_plans_body_says_only_what_the_template_says(text: str) -> None:
    """Its table keeps its cells; only people whose work is used are called, and items named."""
    found = texts.body(planned(text or " "))
    prose = re.sub(r"`[^`\n]*`", "", found)

    assert closed_by(found, TOY) == [10]
    assert set(mentioned(found, TOY)) == {6, 8, 9, 10, 11}
    assert set(re.findall(r"@\w+", prose)) - {"@ada", "@bob"} <= {f"@{text}"}
    assert {line.count("|") for line in found.splitlines() if line.startswith("|")} == {6}
    assert texts.title(planned(text).asked, strategy=planned(text).strategy)


@settings(max_examples=80, deadline=None)
@given(HOSTILE)
def test_a_title_is_one_inert_line(text: str) -> None:
    """Also as a commit's subject; of several jobs it says how many."""
    found = texts.title(told(text, jobs=3).asked, place=Place(number=2, of=3))

    assert inert(found)
    assert len(found) <= texts.TITLE
    assert found.endswith(" and 2 more jobs (2/3)")


def test_a_body_always_fits() -> None:
    """What does not fit is counted; the issues' words stay."""
    found = texts.body(told("\N{GRINNING FACE}" * 900, jobs=500, files=5_000))

    assert len(found) <= texts.BODY
    assert "and 4985 more" in found
    assert "Refs #509" in found


def test_a_keyword_stands_only_behind_evidence_and_once_for_each_issue() -> None:
    """One job that is not shown is enough for an issue to stay open."""

    def one(issue: int, *, closes: bool) -> Asked:
        return Asked(job=JobId("j"), title="t", claims=(Claim(issue=issue, closes=closes),))

    made = (one(1, closes=True), one(2, closes=True), one(2, closes=False), one(1, closes=True))
    found = texts.body(told(asked=made))

    assert closed_by(found, TOY) == [1]
    assert found.count("Refs #2") == 1


def test_a_synthetic_cost_and_an_untested_line_are_said() -> None:
    """What nobody paid and what nothing tested are named so."""
    found = texts.body(told(checks=()))

    assert "synthetic: a server on the same machine answered and nobody paid" in found
    assert "Nothing tests this line" in found


@pytest.mark.parametrize(
    ("name", "branch"),
    [("gh-12", "factory/pr/gh-12-k"), ("../x y;", "factory/pr/x-y-k"), ("", "factory/pr/change-k")],
)
def test_a_branch_is_a_slug_and_its_key(name: str, branch: str) -> None:
    """Whatever it is called after, a branch is a plain name below our folder."""
    assert texts.branch(name, "k") == branch


def test_a_landing_closes_no_issue_by_its_subject() -> None:
    """A title of a job that speaks a keyword becomes a commit that says the number only."""
    assert clean_title("Fix the list. Fixes #1, closes: octo/toy#2") == (
        "Fix the list. Fixes no. 1, closes: no. 2"
    )
    assert clean_title("Reject #12 in fixes") == "Reject #12 in fixes"


@given(
    st.lists(st.integers(1, 9), min_size=1, max_size=12),
    st.sampled_from(["run", "job"]),
    st.integers(1, 12),
)
def test_parts_hold_every_landing_once_and_grow_only_at_the_top(
    sizes: list[int], pulls: str, limit: int
) -> None:
    """A part begins where the one below ends; more landings leave all but the last as they were."""
    commits = [Oid(f"{n:040x}") for n in range(1, len(sizes) + 1)]
    steps = [Step(commit=c, jobs=(JobId(f"j{n}"),)) for n, c in enumerate(commits)]

    def measure(before: Oid, after: Oid) -> Size:
        return Size(files=sum(sizes[int(before, 16) : int(after, 16)]), lines=1)

    def made(count: int) -> tuple[Oid, ...]:
        found = parts(
            Oid("0" * 40),
            steps[:count],
            pulls="job" if pulls == "job" else "run",
            limit=Size(files=limit, lines=9),
            measure=measure,
        )
        assert [part.below for part in found[1:]] == [part.commit for part in found[:-1]]
        assert [job for part in found for job in part.jobs] == [
            job for step in steps[:count] for job in step.jobs
        ]
        assert pulls == "job" or len(found) <= 5
        return tuple(part.commit for part in found)

    whole = made(len(steps))
    for count in range(1, len(steps)):
        assert made(count)[:-1] == whole[: len(made(count)) - 1]


def test_owners_are_those_of_the_last_rule_that_means_a_path() -> None:
    """People and teams of our owner are asked; addresses and others' teams cannot be."""
    text = "* @all\n/src/ @ada @octo/core # them\n*.md me@example.org @other/team\n!x @no\nb/\n"

    found = owners.owners(text, ["src/a.py", "README.md", "b/y", "z"], owner="octo")

    assert (found.people, found.teams) == (("ada", "all"), ("core",))
    assert found.paths == ("src/a.py", "README.md", "z")


def test_a_large_file_of_owners_is_read_rule_by_rule_from_its_end() -> None:
    """Thousands of rules are few: each path has the owners of the last one that means it."""
    rules = [f"/part{number}/ @p{number}" for number in range(6_000)]
    text = "\n".join(["* @all", *rules, "*.md @writers", "/part7/free/"])
    named = owners.named_by(text)

    found = {f"part{number}/a.py": named(f"part{number}/a.py") for number in range(0, 6_000, 60)}

    assert found == {f"part{number}/a.py": (f"@p{number}",) for number in range(0, 6_000, 60)}
    assert named("part7/b.md") == ("@writers",)
    assert named("part7/free/c.py") == ()
    assert named("else.py") == ("@all",)
