"""Gathering: what belongs together is found by any of the signals, within the forge's limits."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from factory.complaint import Complaint
from factory.forge.failures import Denied
from factory.survey.values import Link
from tests.survey.forges import NOW, TOY, Scene, found, scene

SEARCH = "/search/issues"
GRAPH = "/api/graphql"


@pytest.fixture
def at(tmp_path: Path) -> Iterator[Scene]:
    """Give a forge and a place for mirrors."""
    with scene(tmp_path) as made:
        yield made


def crowd(at: Scene, many: int = 90) -> None:
    """Open issues that have nothing to do with anything."""
    for n in range(many):
        at.octocat.open(TOY, f"Widget {n} lacks a colour", f"It should be painted {n % 7}.")


def test_a_planted_reference_without_a_shared_word_is_found(at: Scene) -> None:
    """Said in a comment, in a text, or by the forge alone: each is one link from the seed."""
    seed = at.octocat.open(TOY, "The proxy is ignored", "HTTPS_PROXY has no effect.")
    crowd(at)
    said = at.octocat.open(TOY, "Hangs at start", "Nothing comes.")
    at.octocat.comment(TOY, said, f"might be #{seed}")
    wrote = at.octocat.open(TOY, "Slow morning", f"since #{seed}")
    marked = at.octocat.open(TOY, "Empty log", "")
    at.octocat.duplicate(TOY, marked, seed)
    coded = at.octocat.open(TOY, "Painting", f"`#{seed}` &#{seed}; <!-- #{seed} -->")
    at.octocat.commit(TOY, "mend", {"src/net.py": "x = 2\n"})
    mending = at.octocat.open_pull(TOY, "mend", "Ask the environment", body=f"Fixes #{seed}")

    gathered = at.gather("", seed)

    near = {one.item.number: one.distance for one in gathered.candidates if one.distance == 1}
    assert near.keys() >= {said, wrote, mending}
    assert Link(kind="closes", number=seed) in found(gathered, mending).links
    assert found(gathered, said).reasons[0].kind == "link"
    first = [one.item.number for one in gathered.candidates[:8]]
    assert first[0] == seed
    assert {said, wrote, mending} <= set(first)
    assert all(one.distance != 1 for one in gathered.candidates if one.item.number == coded)
    again = at.gather("", seed, marked)
    assert Link(kind="duplicate", number=seed) in found(again, marked).links
    assert gathered.complete


def test_a_theme_is_found_by_words_search_and_what_is_linked_with_the_best(at: Scene) -> None:
    """Each candidate says why it is one; nothing is written to the forge."""
    one = at.octocat.open(TOY, "The proxy is ignored", "", "net")
    two = at.octocat.open(TOY, "Proxies with a password", "", "net")
    linked = at.octocat.open(TOY, "Hangs at start", f"see #{one}")
    crowd(at, 30)

    gathered = at.gather("proxy handling")

    order = [each.item.number for each in gathered.candidates]
    assert set(order[:3]) == {one, two, linked}
    kinds = {reason.kind for reason in found(gathered, one).reasons}
    assert kinds >= {"words", "pieces", "search", "labels", "recent"}
    assert any("proxy" in reason.said for reason in found(gathered, one).reasons)
    assert found(gathered, linked).distance is None
    assert gathered.queries[0] == "is:issue proxy handling"
    assert not [log for log in at.hub.writes() if log.template != GRAPH]
    assert gathered.requests == len(at.hub.log)


def test_pull_requests_that_change_the_same_files_are_found(at: Scene) -> None:
    """Also by the file that an issue names; a lockfile or a changelog says nothing."""
    seed = at.octocat.open(TOY, "Wrong result", 'File "src/net.py", line 1')
    crowd(at, 20)
    pulls = []
    for name, path in (("a", "src/net.py"), ("b", "src/net.py"), ("c", "yarn.lock")):
        at.octocat.commit(TOY, name, {path: f"{name}\n", "CHANGELOG.md": name})
        pulls.append(at.octocat.open_pull(TOY, name, f"Tidy up {name}"))

    gathered = at.gather("", seed)

    one, two, lock = pulls
    assert "files" in {reason.kind for reason in found(gathered, one).reasons}
    assert Link(kind="files", number=two) in found(gathered, one).links
    other = [each for each in gathered.candidates if each.item.number == lock]
    assert all(reason.kind != "files" for each in other for reason in each.reasons)
    assert not any(link.kind == "files" for each in other for link in each.links)


def test_asked_again_it_costs_a_few_requests(at: Scene) -> None:
    """What surrounds the candidates is known; only what changed is read again."""
    seed = at.octocat.open(TOY, "The proxy is ignored")
    crowd(at)
    first = at.gather("proxy", seed)
    asked = at.requests(lambda: at.gather("proxy", seed))

    assert sum(template == GRAPH for template, _ in asked) == 0
    assert len(asked) <= 2 + len(first.queries)
    at.octocat.comment(TOY, seed, "still so")
    asked = at.requests(lambda: at.gather("proxy", seed))
    assert sum(template == GRAPH for template, _ in asked) == 1
    with at.mirror() as mirror:
        assert [said.body for said in mirror.comments(seed)] == ["still so"]


def test_limits_are_waited_for_and_said(at: Scene) -> None:
    """Thirty searches a minute, and a secondary limit in between: it ends within its time."""
    at.octocat.open(TOY, "The proxy is ignored")
    at.hub.fault("GET", "*/search/issues", "primary", 1, skip=1, seconds=30)
    at.hub.fault("POST", "*/graphql", "secondary", 1, seconds=20)

    gathered = at.gather("proxy handling", max_wait=120)

    assert gathered.complete
    assert gathered.waited == sum(at.waits)
    assert 50 <= gathered.waited <= 60
    assert sum("waiting" in line for line in at.said) == 2


@pytest.mark.parametrize(
    ("pattern", "missing"),
    [
        ("*/search/issues", "not all searches were made"),
        ("*/issues", "not all that changed was read"),
        ("*/graphql", "not all candidates were read"),
    ],
)
def test_a_budget_that_is_gone_leaves_a_partial_survey(
    at: Scene, pattern: str, missing: str
) -> None:
    """What there is is ranked, and what is missing is said with the reason."""
    seed = at.octocat.open(TOY, "The proxy is ignored")
    other = at.octocat.open(TOY, "Proxies with a password")
    at.gather("")
    at.hub.clock.advance(24 * 3600)
    at.octocat.comment(TOY, seed, "still so")
    at.hub.fault("*", pattern, "primary", 1, seconds=900)

    gathered = at.gather("proxy", seed, max_wait=60)

    assert not gathered.complete
    assert missing in gathered.why
    assert "rate limited" in gathered.why
    assert gathered.waited == 0
    assert {one.item.number for one in gathered.candidates} == {seed, other}
    assert at.gather("proxy", seed, max_wait=60).complete


def test_after_a_limit_nothing_more_is_asked(at: Scene) -> None:
    """Whoever goes on asking is shut out for longer; only the search has a limit of its own."""
    at.octocat.open(TOY, "The proxy is ignored")
    at.hub.fault("GET", "*/issues", "secondary", 1, seconds=900)

    asked = at.requests(lambda: at.gather("proxy", max_wait=60))

    assert [template for template, status in asked if status == 403] == [
        "/repos/{owner}/{repo}/issues"
    ]
    assert not [template for template, _ in asked if template in {SEARCH, GRAPH}]


def test_a_seed_that_is_not_there_is_a_complaint(at: Scene) -> None:
    """Never there, or gone since the mirror was made."""
    seed = at.octocat.open(TOY, "The proxy is ignored")
    with pytest.raises(Complaint, match="no issue or pull request 99"):
        at.gather("proxy", 99)
    at.gather("proxy", seed, limit=0)
    at.octocat.remove(TOY, seed)
    at.octocat.open(TOY, "Something else")
    with pytest.raises(Complaint, match=f"no issue or pull request {seed}"):
        at.gather("proxy", seed, now=NOW.replace(year=2027))


def test_a_token_that_is_refused_is_no_partial_survey(at: Scene) -> None:
    """That has to be put right, and does not pass by waiting."""
    at.octocat.open(TOY, "The proxy is ignored")
    at.hub.fault("GET", "*/issues", "status", 1, status=401, body={"message": "Bad credentials"})
    with pytest.raises(Denied):
        at.gather("proxy")


def test_texts_of_others_choose_neither_the_repository_nor_the_bounds(at: Scene) -> None:
    """A seed that writes qualifiers is searched for as words."""
    at.hub.repository("octo/secret", private=True)
    seed = at.octocat.open(TOY, "repo:octo/secret is:open OR user:octo", 'Error: " repo:octo/x')
    gathered = at.gather("repo:octo/secret", seed)
    assert all("repo:" not in query.replace('"', "") for query in gathered.queries)
    assert [one.item.number for one in gathered.candidates] == [seed]
    assert {one.query["q"].split()[0] for one in at.hub.log if one.template == SEARCH} == {
        f"repo:{TOY}"
    }
