"""The document, the page and the files of a survey: strict, harmless, never over another's."""

import json
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter

from factory.complaint import Complaint
from factory.survey import document, page, writing
from factory.survey.values import Class, LeftOut, Survey
from factory.views.schemas import SurveyDocument
from tests.survey.scenes import ITEMS, REPORT, Bench, candidate, changed, gathered, item

Json = dict[str, Any]
HOSTILE = (
    "<!-- x --> @octocat Fixes #1, closes octo/ferry#2 GH-3 ![i](http://evil/x.png)"
    " [a](javascript:1) `code` \x1b[31m \u202e <img src=x> &#64;mona | x\n# Head\n- [ ] task"
)


@pytest.fixture(scope="module")
def survey(tmp_path_factory: pytest.TempPathFactory) -> Survey:
    """Give a survey with everything in it."""
    bench = Bench.at(tmp_path_factory.mktemp("survey"))
    more = [candidate(item(n, f"Other {n}"), 0.001) for n in range(40, 44)]
    found = gathered(candidate(REPORT, 0.05), *gathered().candidates, *more)
    return bench.conclude(found=found, most=8).survey


def test_a_survey_comes_back_from_its_file_as_it_was(survey: Survey, tmp_path: Path) -> None:
    """All but the texts of items, which are in the mirror, is in the document."""
    data, _ = writing.write(tmp_path, survey, force=False)

    read = document.load(data)

    bare = [replace(one, item=replace(one.item, body="")) for one in survey.candidates]
    assert replace(read, candidates=tuple(bare)) == replace(survey, candidates=tuple(bare))
    assert document.text(read) == data.read_text()
    TypeAdapter(SurveyDocument).validate_json(data.read_text())


def broken(survey: Survey, change: Callable[[Json], object]) -> str:
    """Give what is said of a document that somebody changed."""
    value = json.loads(document.text(survey))
    change(value)
    with pytest.raises(Complaint) as caught:
        document.read(json.dumps(value), name="survey.json")
    return caught.value.what


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda d: d.update(schema="factory.plan/1"), "schema: "),
        (lambda d: d.update(extra=1), "extra: "),
        (lambda d: d.pop("theme"), "theme: "),
        (lambda d: d["items"][0].update(n="3"), "items[0].n: "),
        (lambda d: d["items"][0].update(n=True), "items[0].n: "),
        (lambda d: d["items"][0].update({"class": "closed"}), "items[0].class: "),
        (lambda d: d["items"][0].update(score=float("nan")), "items[0].score: "),
        (lambda d: d["items"][0].update(url="javascript:alert(1)"), "items[0].url: "),
        (lambda d: d["items"][0].update(updated_at="yesterday"), "items[0].updated_at: no moment"),
        (lambda d: d["items"].append(d["items"][0]), "stands there 2 times"),
        (
            lambda d: d["items"][4].update({"class": "security"}),
            "items[4].class: a security report",
        ),
        (lambda d: d["items"][1].update(of=99), "items[1].of: duplicate needs"),
        (lambda d: d["items"][4].update(of=3), "items[4].of: canonical names no other"),
        (lambda d: d["items"][0].update(root_cause_id="rc-9"), "items[0].root_cause_id: item 3"),
        (lambda d: d["root_causes"][0]["items"].append(99), "99 is none of the items"),
        (lambda d: d["root_causes"][1]["items"].append(3), "under 2 root causes"),
        (lambda d: d["quarantined"].append({"n": 3, "why": ""}), "item 3 stands there 2 times"),
        (lambda d: d["spend"].update(usd="-1"), "spend.usd: "),
        (lambda d: d.update(repo="../../etc"), "repo: "),
        (lambda d: d.update(agreement=2.0), "agreement: "),
    ],
)
def test_a_document_that_was_edited_wrong_is_refused_by_name(
    survey: Survey, change: Callable[[Json], object], said: str
) -> None:
    """Every field has its shape, and the parts must fit together."""
    assert said in broken(survey, change)


def test_all_mistakes_are_said_at_once(survey: Survey) -> None:
    """Who edits a document by hand hears of everything in one go."""

    def change(value: Json) -> None:
        value["items"][0]["n"] = "x"
        value["items"][1]["confidence"] = 7
        value["left_out"] = None

    said = broken(survey, change)

    assert [place in said for place in ("items[0].n", "items[1].confidence", "left_out")] == [
        True
    ] * 3
    assert "no survey that can be used" in broken(survey, lambda d: d.clear())


@pytest.mark.parametrize("text", ["", "nonsense", "[]", "\x00", '{"schema": ' * 5_000])
def test_what_is_no_document_is_refused(text: str) -> None:
    """Whatever the file holds, a complaint is all that follows."""
    with pytest.raises(Complaint, match=r"survey\.json"):
        document.read(text, name="survey.json")


def test_the_page_tells_everything_and_nothing_of_a_report(survey: Survey) -> None:
    """The theme, causes with items, each class, what is left out, how it was made."""
    told = page.page(survey)

    for words in (
        "# Survey of `octo/ferry`: `timeouts`",
        "`Deadlines are not kept`",
        "### rc-1",
        "`Zero is taken for no timeout`",
        "- **5** (open issue), duplicate of 3 (90% sure), rc-1:",
        "## Already fixed",
        "- **3** (open issue), fixed by 9",
        "## Set aside for a maintainer",
        "4: set aside for a maintainer. Nothing of them is told here.",
        "## Left out",
        "- **41** (score 0.0010) `Other 41`",
        "place 11 of 13, and 8 are kept",
        "7 requests to the forge, no waiting; nothing was written there",
        "12 items asked about twice, in two orders: 100% read alike",
        "a server on this machine answered",
    ):
        assert words in told
    assert REPORT.title not in told + document.text(survey)
    assert "attacker" not in told


def test_a_public_page_does_not_say_which_items_were_set_aside(survey: Survey) -> None:
    """A list of what may be holes is for the maintainers alone."""
    told = page.page(survey, public=True)

    assert "1 item set aside for a maintainer. Nothing of them is told here." in told
    assert told.replace("1 item set aside", "4: set aside") == page.page(survey)


def test_open_pull_requests_are_said_to_be_in_flight(bench: Bench) -> None:
    """Also where only the forge's link says what they fix."""
    pull = item(9, "Treat zero as now", kind="pull", state="open")
    found = gathered(
        *(replace(one, item=pull) if one.item.number == 9 else one for one in gathered().candidates)
    )

    for made, word in (
        (bench.conclude(found=found), "fixes"),
        (bench.conclude(None, found), "says it closes"),
    ):
        entry = f"- **9** by `mona`, {word} 3: `Treat zero as now`"
        assert f"## In flight\n\n{entry}" in page.page(made.survey)


def test_a_survey_without_a_model_says_so(bench: Bench) -> None:
    """Ranked, grouped by what items share, and unclassified throughout."""
    survey = bench.survey(None)
    told = page.page(survey)

    assert {one.verdict for one in survey.findings} == {Class.UNCLASSIFIED}
    assert (survey.classified, survey.model, survey.agreement) == (False, "", None)
    assert [cause.items for cause in survey.causes] == [(3, 9), (6, 7)]
    for words in (
        "No model read them",
        "## What items share",
        "## Closed by a merged pull request\n\n- **3** (open issue), by 9: `Timeout of zero",
        "no model was asked",
    ):
        assert words in told


def test_nothing_of_a_strangers_text_acts_on_a_forge(survey: Survey) -> None:
    """Titles, quotes, logins, files and a model's words stand as text that does nothing."""
    first = survey.candidates[0]
    hostile = replace(
        survey,
        theme=HOSTILE,
        why=HOSTILE,
        complete=False,
        model=HOSTILE,
        query=HOSTILE,
        candidates=(
            replace(first, item=replace(first.item, title=HOSTILE, author=HOSTILE, kind="pull")),
            *survey.candidates[1:],
        ),
        findings=tuple(replace(one, why=HOSTILE) for one in survey.findings),
        causes=tuple(
            replace(one, statement=HOSTILE, files=(HOSTILE,), symbols=(HOSTILE,))
            for one in survey.causes
        ),
        left_out=(LeftOut(number=1, title=HOSTILE, score=0.0, why=HOSTILE),),
    )
    told = page.page(hostile)

    outside = re.sub(r"`[^`\n]*`", "", told)
    for sign in ("@", "#1", "#2", "GH-3", "<", "](", "http", "\x1b", "\u202e", "&#"):
        assert sign not in outside
    assert "@octocat" not in told
    assert "#1" not in told
    assert "\n# Head" not in told
    assert "- [ ] task\n" not in told


def test_explaining_says_why_an_item_is_in_or_out(survey: Survey) -> None:
    """From the survey alone: signals with points, class, words, cause; or the place it had."""
    kept = "\n".join(page.explained(survey, 5))
    for words in ("5 is in", "place 2 of 8", "+ 0.0900 words", "duplicate of 3", "under rc-1"):
        assert words in kept
    left = "\n".join(page.explained(survey, 41))
    assert "41 is left out" in left
    assert "for it spoke: words of the query" in left
    apart = "\n".join(page.explained(survey, REPORT.number))
    assert "set aside for a maintainer: it speaks of an attack" in apart
    assert REPORT.title not in apart
    assert page.explained(survey, 999) == ()


def test_an_earlier_survey_of_the_same_question_is_replaced(survey: Survey, tmp_path: Path) -> None:
    """Only by a newer one, and both files together, in a directory that need not be there."""
    tmp_path /= "out/of"
    later = replace(survey, created=survey.created + timedelta(hours=1), theme="later")
    writing.write(tmp_path, survey, force=False)
    writing.write(tmp_path, later, force=False)

    assert document.load(tmp_path / "survey.json").theme == "later"
    assert "`later`" in (tmp_path / "survey.md").read_text()
    with pytest.raises(Complaint, match="newer than this survey"):
        writing.write(tmp_path, survey, force=False)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["survey.json", "survey.md"]


@pytest.mark.parametrize(
    ("name", "text", "why"),
    [
        ("survey.json", "{}", "no survey that can be read"),
        ("survey.json", "", "no survey that can be read"),
        ("survey.md", "my notes", "no survey.json lies beside it"),
    ],
)
def test_a_file_of_somebody_else_is_not_replaced(
    survey: Survey, tmp_path: Path, name: str, text: str, why: str
) -> None:
    """Only `--force` does, and says so."""
    (tmp_path / name).write_text(text)

    with pytest.raises(Complaint, match=why):
        writing.write(tmp_path, survey, force=False)
    assert (tmp_path / name).read_text() == text
    writing.write(tmp_path, survey, force=True)
    assert document.load(tmp_path / "survey.json").repo == "octo/ferry"


def test_the_survey_of_another_question_is_not_replaced(survey: Survey, tmp_path: Path) -> None:
    """Another query, other seeds or another repository is another survey."""
    writing.write(tmp_path, survey, force=False)
    later = survey.created + timedelta(hours=1)

    for other in (
        replace(survey, query="proxies", created=later),
        replace(survey, seeds=(3,), created=later),
        replace(survey, repo="octo/else", created=later),
    ):
        with pytest.raises(Complaint, match="another question"):
            writing.write(tmp_path, other, force=False)


def test_what_is_independent_is_kept_only_where_there_is_room(bench: Bench) -> None:
    """Of more items than are kept the theme's come first, and what they repeat stays with them."""
    script = changed(lambda row: {**row, "class": "independent", "of": 0}, 8)
    survey = bench.conclude(script, most=6).survey

    numbers = [one.item.number for one in survey.candidates]
    assert len(numbers) == 6
    assert not {8, 12} & set(numbers)
    left = {one.number: one.why for one in survey.left_out}
    assert "read as independent" in left[8]
    assert set(left) == {one.number for one in ITEMS} - set(numbers)


def test_a_place_that_takes_no_files_is_refused_before_anything_is_asked(tmp_path: Path) -> None:
    """A file in the way is named; a directory that is not there yet is fine."""
    (tmp_path / "file").write_text("mine")
    wanted = writing.Asked(repo="octo/ferry", query="timeouts", seeds=())

    for place in ("file", "file/below"):
        with pytest.raises(Complaint, match="is no directory"):
            writing.earlier(tmp_path / place, wanted)
    assert writing.earlier(tmp_path / "new/place", wanted) is None
