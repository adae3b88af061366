"""The live page as a server: who may come in, what it gives, what an order becomes."""

import json
import re
import signal
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from factory.events import Killed
from tests.run import command, finished
from tests.show.crowds import RUN, Crowd
from tests.show.hosts import Host, hosted

WAITS = "job-0002"


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    """Give a server over a run of thirty jobs, one of which waits for a person."""
    with hosted(tmp_path_factory.mktemp("serving") / "repo", Crowd(30).go()) as made:
        yield made


def test_the_first_address_trades_its_token_for_a_cookie(host: Host) -> None:
    """The token leaves the address bar at once; the cookie is for this host and no script."""
    answer = host.ask("GET", f"/?token={host.token}", cookie="")

    assert answer.status == 303
    assert answer.headers["location"] == "/"
    assert "HttpOnly" in answer.headers["set-cookie"]
    assert "samesite=strict" in answer.headers["set-cookie"].lower()
    assert host.token not in answer.headers["set-cookie"]


@pytest.mark.parametrize(
    "path", ["/", "/runs", f"/run/{RUN}", f"/run/{RUN}/live", "/assets/page.css", "/?token=x"]
)
def test_nothing_is_shown_without_the_cookie(host: Host, path: str) -> None:
    """Whoever has no token sees nothing of the repository, not even which files there are."""
    for cookie in ("", f"factory-{host.port}=guess"):
        answer = host.ask("GET", path, cookie=cookie)
        assert answer.status == 403
        assert RUN not in answer.text


@pytest.mark.parametrize("name", ["evil.example", "127.0.0.1", "127.0.0.1:1", ""])
def test_another_name_for_this_host_is_refused(host: Host, name: str) -> None:
    """A page of elsewhere whose name was pointed at this machine reaches nothing."""
    assert host.ask("GET", f"/run/{RUN}", headers={"Host": name}).status == 421


def test_every_answer_carries_the_policy(host: Host) -> None:
    """No page, file, stream or refusal leaves without the strict headers."""
    for path, cookie in (
        (f"/run/{RUN}", None),
        ("/assets/page.js", None),
        ("/none", None),
        ("/", ""),
    ):
        headers = host.ask("GET", path, cookie=cookie).headers
        assert "default-src 'self'" in headers["content-security-policy"]
        assert "unsafe" not in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["x-frame-options"] == "DENY"
        assert "server" not in headers


def test_the_page_works_without_a_script(host: Host) -> None:
    """What is sent first is the whole page, with every figure, link and form in it."""
    shown = host.ask("GET", f"/run/{RUN}").text

    assert "<h1>" in shown
    assert "<svg" in shown
    assert f'href="/run/{RUN}/job/{WAITS}"' in shown
    assert not re.search(r"<script(?! src=\"/assets/)|\sstyle=|\son[a-z]+=|://", shown)


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/run/none", 404),
        (f"/run/{RUN}/job/none", 404),
        (f"/run/{RUN}/apply/none", 404),
        (f"/run/{RUN}/undo/7", 404),
        ("/assets/manifest.toml", 404),
        ("/assets/..%2fpages.py", 404),
        ("/run/..%2f..%2fetc/live", 404),
        (f"/run/{RUN}/job/job-0000/kill", 409),
    ],
)
def test_what_is_not_there_is_said_in_words(host: Host, path: str, status: int) -> None:
    """An address that names nothing gives a page that says so, and no trace of the program."""
    answer = host.ask("GET", path)

    assert answer.status == status
    assert "Traceback" not in answer.text
    assert "<h1>" in answer.text


@pytest.mark.parametrize(
    ("kind", "what", "text"), [("tell", WAITS, "use <b> & the second form"), ("kill", WAITS, "")]
)
def test_an_order_becomes_the_letter_of_the_command(
    host: Host, kind: str, what: str, text: str
) -> None:
    """A form leaves exactly the letter that the command would, and says when it takes effect."""
    before = len(host.letters())

    answer = host.order(kind=kind, what=what, text=text)

    assert answer.status == 303
    assert answer.headers["location"] == f"/run/{RUN}/job/{what}?noted={kind}&what="
    letter = host.letters()[before]
    assert (letter.kind, letter.job, letter.text) == (kind, what, text)
    noted = host.ask("GET", answer.headers["location"]).text
    assert f"{kind} {what}: noted; it takes effect with `factory resume {RUN}`" in noted


@pytest.mark.parametrize(
    ("headers", "fields"),
    [
        ({"Origin": "http://evil.example"}, {}),
        ({"Origin": "null"}, {}),
        ({"Origin": ""}, {}),
        ({}, {"key": "guess"}),
        ({}, {"key": ""}),
    ],
)
def test_an_order_from_elsewhere_is_refused(
    host: Host, headers: Mapping[str, str], fields: Mapping[str, str]
) -> None:
    """Another site's page, even with the cookie, cannot give an order: origin and key are asked."""
    before = host.letters()

    answer = host.order(kind="kill", what=WAITS, headers=headers, **fields)

    assert answer.status == 403
    assert host.letters() == before


@pytest.mark.parametrize(
    ("kind", "what", "text"),
    [
        ("tell", WAITS, " "),
        ("tell", WAITS, "x" * 4001),
        ("tell", WAITS, "x" * 20_000),
        ("drop", WAITS, ""),
        ("kill", "none", ""),
        ("apply", "none", ""),
        ("undo", "1", ""),
    ],
)
def test_an_order_that_makes_no_sense_leaves_no_letter(
    host: Host, kind: str, what: str, text: str
) -> None:
    """What the floor would refuse is refused on the page, in words."""
    before = host.letters()

    assert host.order(kind=kind, what=what, text=text).status in (403, 404, 409)
    assert host.letters() == before


def test_the_stream_gives_what_is_new_with_its_position(tmp_path: Path) -> None:
    """A follower gets the whole part with the ledger's position, and again when that moves on."""
    crowd = Crowd(6).go(lambda line: len(line.trials) > 0)
    name = next(name for name, work in crowd.line.jobs.items() if work.place.kind == "working")
    with hosted(tmp_path / "repo", crowd) as host:
        with host.stream(f"/run/{RUN}/live") as stream:
            first = stream.event()
            count = len(crowd.tale.book)
            crowd.tale.tell(Killed(job=name))
            host.plant(count)
            second = stream.event()
        with host.stream(f"/run/{RUN}/live", {"Last-Event-ID": str(second.seq)}) as again:
            assert again.comment() == ": here"

    assert (first.seq, second.seq) == (count, len(crowd.tale.book))
    assert "<h1>" in first.data
    gone = crowd.line.jobs[name].place.kind
    assert f"1 {gone}" in second.data
    assert f"1 {gone}" not in first.data


def test_ctrl_c_ends_it_with_followers_and_all(tmp_path: Path) -> None:
    """One Ctrl-C ends the server in order, although a page still follows; nothing is left."""
    with ExitStack() as stack:
        host = stack.enter_context(hosted(tmp_path / "repo", Crowd(4).go()))
        stack.enter_context(host.stream(f"/run/{RUN}/live")).event()

        host.child.send_signal(signal.SIGINT)
        ended = finished(host.child, ["factory", "serve"], timeout=30, check=False)

    assert ended.code == 0, ended.err.decode()
    assert b"factory serve: ended" in ended.err
    assert b"Traceback" not in ended.err


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """Options of the command that it refuses, and what it says then."""

    options: tuple[str, ...]
    said: str


@pytest.mark.parametrize(
    "refusal",
    [
        Refusal(options=("--host", "0.0.0.0"), said="lets other machines in"),  # noqa: S104
        Refusal(options=("--token-file", "none"), said="cannot read none"),
        Refusal(options=("--token-file", "open"), said="others may read open"),
        Refusal(options=("--token-file", "short"), said="at least 32 are needed"),
        Refusal(options=("--port", "taken"), said="cannot listen on 127.0.0.1 port"),
    ],
)
def test_what_would_let_strangers_in_is_refused(host: Host, refusal: Refusal) -> None:
    """A host that others reach, and a token that others read or guess, are refused by name."""
    place = host.repository.checkout
    assert place is not None
    for name, text, mode in (("open", "x" * 40, 0o644), ("short", "x", 0o600)):
        (place / name).write_text(text)
        (place / name).chmod(mode)
    options = [str(host.port) if word == "taken" else word for word in refusal.options]

    ran = command(["serve", *options, "--json"], cwd=place, env=host.env)

    assert ran.code == 2
    assert refusal.said in json.loads(ran.out)["error"]


def test_the_report_command_writes_the_one_file(host: Host, tmp_path: Path) -> None:
    """`factory report --html` leaves the whole report, and says where it could not."""
    place = host.repository.checkout
    assert place is not None

    ran = command(["report", "--html", str(tmp_path / "run.html")], cwd=place, env=host.env)
    bad = command(["report", "--html", str(tmp_path / "no" / "run.html")], cwd=place, env=host.env)
    both = command(["report", "--html", "x.html", "--cost"], cwd=place, env=host.env)

    assert (ran.code, bad.code, both.code) == (0, 2, 2)
    shown = (tmp_path / "run.html").read_text()
    assert shown.startswith("<!doctype html>")
    assert all(name in shown for name in ("job-0000", "job-0029"))
    assert b"cannot write" in bad.err
    assert [path.name for path in tmp_path.iterdir()] == ["run.html"]
