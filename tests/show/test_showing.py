"""What is read for the page: kept per position, and orders that are those of the commands."""

import pytest

from factory.cli.acting import promise
from factory.cli.balancing import letter_of
from factory.complaint import Complaint
from factory.events import Noted
from factory.ledger import Ledger, Letter
from factory.pace.catalogue import Policy
from factory.showing import House, NotFound, Reader
from tests.factory.planted import plant
from tests.show.crowds import RUN, Crowd
from worktrees.git import Repository
from worktrees.names import RunId

CAN_BE_EASED = 4
"""A seed with which an optional review limits the line while forty have landed."""


@pytest.fixture(scope="module")
def crowd() -> Crowd:
    """Give a run in which something can be done about the constraint."""
    made = Crowd(60, seed=CAN_BE_EASED)
    return made.go(lambda line: sum(w.place.kind == "landed" for w in line.jobs.values()) > 40)


@pytest.fixture
def reader(repository: Repository, crowd: Crowd) -> Reader:
    """Give a reader of that run, which nobody works on."""
    plant(repository, RUN, crowd.tale.book)
    house = House(
        ledger=repository.factory / "ledger.sqlite",
        policy=Policy(mode="suggest"),
        alive=lambda _, __: False,
        order=letter_of,
        promise=lambda letter, run, active: promise(letter, run, active=active),
    )
    return Reader(house, "key")


def letters(repository: Repository) -> list[Letter]:
    """Give what was left for the floor."""
    with Ledger(repository.factory / "ledger.sqlite") as ledger:
        return [letter for _, letter in ledger.letters(RunId(RUN))]


def test_an_option_is_applied_as_by_the_command(reader: Reader, repository: Repository) -> None:
    """The page asks with the prediction beside it, and leaves the option itself in the letter."""
    shown = reader.run_page(RUN, "job", "", "")
    assert "To ease it: <code>factory balance apply sample-review-4</code>" in shown
    assert "predicted: " in reader.apply_page(RUN, "sample-review-4")

    back = reader.post(RUN, "apply", "sample-review-4", "")

    assert back == f"/run/{RUN}?noted=apply&what=sample-review-4"
    (letter,) = letters(repository)
    assert letter.kind == "apply"
    assert letter.option is not None
    assert letter.option.name == "sample-review-4"
    assert "apply sample-review-4: noted" in reader.run_page(RUN, "job", "apply", "sample-review-4")


def test_nothing_is_drawn_twice_at_one_position(
    reader: Reader, repository: Repository, crowd: Crowd
) -> None:
    """The same ledger gives the same piece; a further event gives another one."""
    first = reader.overview(RUN, "job")

    assert reader.overview(RUN, "job") is first
    assert reader.overview(RUN, "station") is not first
    plant(repository, RUN, [(Noted(what="janitor", text="swept"), crowd.tale.at + 1)])
    assert reader.overview(RUN, "job") is not first


def test_a_job_is_drawn_anew_when_something_happened_to_it(reader: Reader) -> None:
    """The story of a job that stands still is not read again and again."""
    assert reader.story(RUN, "job-0003") is reader.story(RUN, "job-0003")
    assert "job-0003" in reader.job_page(RUN, "job-0003", "")


@pytest.mark.parametrize("noted", ["nonsense", "", "<b>"])
def test_an_address_puts_no_words_on_the_page(reader: Reader, noted: str) -> None:
    """Only a known order is confirmed, and only names of our own shape are repeated."""
    assert 'class="note" role="status"' not in reader.run_page(RUN, "job", noted, "")
    assert "call me" not in reader.run_page(RUN, "job", "apply", "call me at once")


def test_what_cannot_be_ordered_is_refused(reader: Reader, repository: Repository) -> None:
    """An order about nothing leaves no letter, and says what is wrong."""
    with pytest.raises(Complaint):
        reader.post(RUN, "apply", "retire-tests", "")
    with pytest.raises(NotFound):
        reader.post(RUN, "tell", "nobody", "words")

    assert letters(repository) == []


def test_the_list_of_runs_names_each(reader: Reader) -> None:
    """Every run of the repository is a link on one page."""
    assert f'href="/run/{RUN}"' in reader.runs_page()
    assert reader.newest() == RUN
    assert reader.report(RUN).startswith("<!doctype html>")
