"""Briefs: texts of a forge become quoted data, whatever they hold."""

import time
from datetime import UTC, datetime

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from factory.forge import briefs
from factory.forge.briefs import Cluster, Failure
from factory.forge.values import Annotation, Comment, Issue, Person, Thread

AT = datetime(2026, 1, 2, 3, 4, tzinfo=UTC)
EVE = Person(login="eve", kind="User", id=7)
PIECES = st.sampled_from(
    [
        *("<!--", "-->", "<", ">", "&lt;", "&amp;", "amp;", "&#8203;", "![", "](", ")", "[", "]:"),
        *("```", "~~~", "\n", "\r", "\t", "`", "<b title='x'>", "</b>", "<script>", "<?", "<!X"),
        *("\u200b", "\u202e", "\ufeff", "\x1b[31m", "\x00", "\u2028", "\u3164", "\U000e0041"),
        *("> ", "# ", "@eve", "#1", "words ", 'x" y'),
    ]
)
HOSTILE = st.one_of(st.text(max_size=200), st.lists(PIECES, max_size=60).map("".join))


def issue(title: str = "A title", body: str = "A text", **more: object) -> Issue:
    """Give an issue of a stranger."""
    known: dict[str, object] = {
        "number": 12,
        "title": title,
        "body": body,
        "state": "open",
        "author": EVE,
        "labels": (),
        "created": AT,
        "updated": AT,
        "url": "https://forge.test/octo/toy/issues/12",
        "comments": 0,
        "locked": False,
        "is_pull": False,
        "association": "NONE",
    }
    return Issue(**{**known, **more})  # type: ignore[arg-type]


def comment(body: str, login: str = "mona", number: int = 1) -> Comment:
    """Give a comment."""
    who = Person(login=login, kind="User", id=1)
    return Comment(
        id=number, author=who, body=body, created=AT, updated=AT, url="", association="NONE"
    )


@given(HOSTILE)
@example("<!-- a -- > b --!> c")
@example("&amp;lt;!-- hidden --&amp;gt;")
@example("<" * 50 + "b>" * 50)
def test_a_cleaned_text_hides_nothing_and_stays_as_it_is(text: str) -> None:
    """Cleaning removes what a page would not show, and cleaning again changes nothing."""
    found = briefs.cleaned(text)

    assert briefs.cleaned(found) == found
    assert "<!--" not in found
    assert "![" not in found
    assert all(sign == "\n" or sign.isprintable() for sign in found)
    assert not set(found) & set("\u200b\u202e\ufeff\u3164\u2800\ufe0f")


@given(HOSTILE, HOSTILE, st.lists(HOSTILE, max_size=4))
def test_whatever_an_issue_says_is_quoted_and_bounded(
    title: str, body: str, said: list[str]
) -> None:
    """No line of an issue or a comment begins like one of ours, and the whole has a bound."""
    ours = briefs.issue_brief(issue("T", "B"), [], repo="octo/toy", unheard=0).splitlines()
    comments = [comment(text, number=n) for n, text in enumerate(said)]

    found = briefs.issue_brief(issue(title, body), comments, repo="octo/toy", unheard=2)

    for line in found.splitlines():
        fixed = line.startswith(("> ", "Title: ", "Comment of mona on ")) or line in {">", ""}
        assert fixed or line in ours or "are left out." in line, line
    assert len(found) < 2 * (briefs.BODY + briefs.COMMENTS)


@given(HOSTILE)
@example("#@1 @#1 GH-@2 https:@//x")
def test_a_title_names_calls_and_closes_nothing(text: str) -> None:
    """A title is one short line without a mention, an item's number or an address."""
    found = briefs.plain_title(f"Fixes #1 @eve GH-2 https://forge.test {text}", fallback="none")

    assert len(found) <= briefs.TITLE
    assert found.isprintable()
    for bad in ("#1", "@e", "GH-2", "://", "`"):
        assert bad not in found


@given(st.text(max_size=400), st.integers(20, 200))
def test_a_capped_text_is_never_longer(text: str, most: int) -> None:
    """A cap holds, and a text that fits is left alone."""
    found = briefs.capped(text, most)

    assert len(found) <= most
    assert found == text or len(text) > most


@given(HOSTILE)
def test_the_tail_of_a_log_fits_in_two_hundred_tokens(text: str) -> None:
    """What of a log is in a brief has at most 800 bytes, all of them visible."""
    found = briefs.tail(text * 40)

    assert len(found.encode()) <= briefs.LOG
    assert all(sign == "\n" or sign.isprintable() for sign in found)


@pytest.mark.parametrize(
    "text",
    [
        "![" * 9_000,
        "<!--" * 9_000,
        "&amp" * 9_000,
        "](x '" * 9_000,
        "<a " * 9_000,
        "[x]:" * 9_000,
        "password-" * 9_000,
    ],
)
def test_no_text_makes_the_cleaning_slow(text: str) -> None:
    """Texts made to make patterns go back again and again are cleaned in far less than a second."""
    began = time.process_time()

    briefs.cleaned(text)
    briefs.plain_title(text, fallback="none")
    briefs.tail(text)

    assert time.process_time() - began < 5


def test_what_a_page_hides_is_not_in_the_brief() -> None:
    """Comments, titles of links, attributes, images, definitions and odd signs are gone."""
    body = (
        "Please sort.\n<!-- HIDDEN --> &lt;!-- HIDDEN --&gt; <b title='HIDDEN'>bold</b>\n"
        '![HIDDEN](http://x.test/HIDDEN.png "HIDDEN") [a link](http://x.test "HIDDEN")\n'
        "[//]: # (HIDDEN)\n<script>HIDDEN</script>\nA\u200bB\u202eC\U000e0041\n<!-- HIDDEN"
    )

    found = briefs.issue_brief(issue("T", body), [], repo="octo/toy", unheard=0)

    assert "HIDDEN" not in found
    for seen in ("> Please sort.", "bold", "[a link](http://x.test)", "> ABC"):
        assert seen in found


def test_code_between_fences_stays_as_a_page_shows_it() -> None:
    """A snippet of HTML in a fence is what somebody wants to show; its comments still go."""
    found = briefs.cleaned("```html\n<div title='x'>a</div>\n<!-- HIDDEN -->\n```\n<i>b</i>")

    assert "<div title='x'>a</div>" in found
    assert "HIDDEN" not in found
    assert "<i>" not in found


def test_a_fence_does_not_shelter_a_comment() -> None:
    """A fence that a page ends earlier than we do cannot be used to hide words."""
    assert "HIDDEN" not in briefs.cleaned("- a\n\n  ```\n<!-- HIDDEN -->\nb")


def test_secrets_in_texts_are_stars_and_do_not_end_other_texts() -> None:
    """A key is masked where it stands; an unfinished one swallows nothing of the next text."""
    begun = "-----BEGIN PRIVATE KEY-----\nabc"
    said = [comment("Do it like this"), comment("token=abcdefgh12345678")]

    found = briefs.issue_brief(issue("T", begun), said, repo="octo/toy", unheard=0)

    assert "abc" not in found.replace("abcdefgh", "")
    assert "> Do it like this" in found
    assert "abcdefgh12345678" not in found


def test_the_newest_comments_are_kept() -> None:
    """When not all fit, the oldest go, and that is said."""
    said = [comment(f"{number} " + "x" * 900, number=number) for number in range(9)]

    found = briefs.issue_brief(issue(), said, repo="octo/toy", unheard=0)

    assert "> 8 x" in found
    assert "> 0 x" not in found
    assert "older comments are left out" in found


def test_equal_failures_become_one_cluster() -> None:
    """Matrix jobs that fail alike, numbers and stamps aside, are one; others stay apart."""
    log = "2026-01-01T00:00:0{}.1Z \x1b[31mE   assert 1 == 2\x1b[0m\ntook 0.{}s"
    failures = [
        Failure(name="unit (3.11)", log=log.format(1, 2)),
        Failure(name="unit (3.12)", log=log.format(3, 4)),
        Failure(name="lint", log="F401 unused"),
        Failure(name="silent"),
        Failure(name="mute"),
    ]

    found = briefs.clustered(failures)

    assert [each.names for each in found] == [
        ("unit (3.11)", "unit (3.12)"),
        ("lint",),
        ("silent",),
        ("mute",),
    ]


def test_a_log_is_told_without_stamps_colours_and_progress() -> None:
    """The brief of a check holds the end of its log as a person would read it."""
    log = (
        "2026-01-01T00:00:00.0000000Z ##[group]Run\n"
        "2026-01-01T00:00:00.0000000Z 10%\r50%\r100% done\n"
        "2026-01-01T00:00:01.0000000Z ##[error]\x1b[31mE   boom\x1b[0m\n"
    )
    note = Annotation(path="src/a.py", line=3, level="failure", title="", message="no <!-- x -->")
    cluster = Cluster(names=("ci / unit",), log=log, notes=(note,), paths=("src/a.py",))

    found = briefs.check_brief(cluster, pull=34, repo="octo/toy")

    assert "> src/a.py:3: no" in found
    assert found.endswith("The end of its log:\n> 100% done\n> E   boom")


def test_a_review_says_where_and_only_what_was_heard() -> None:
    """Each thread of a file stands with its line, and its words are quoted."""
    heard = (comment("Use a set\nhere"),)
    thread = Thread(id="T1", path="src/a.py", line=3, resolved=False, outdated=True, comments=heard)

    found = briefs.thread_brief([thread], [heard], pull=34, repo="octo/toy")

    assert "in src/a.py" in found
    assert "On line 3 (of an older version):" in found
    assert "> Use a set\n> here" in found


@given(HOSTILE)
def test_names_paths_and_addresses_are_plain_or_left_out(text: str) -> None:
    """What stands unquoted in a brief cannot begin a line of its own."""
    for found in (briefs.login(text), briefs.address(text), briefs.plain_path(text)):
        assert found
        assert found.isprintable()
