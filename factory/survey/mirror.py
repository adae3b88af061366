"""The mirror: a repository's issues and pull requests on this machine, brought up to date by need.

A SQLite file that may be lost at any time. Each page of what changed is kept in one transaction
with the place to go on from, so that a killed survey repeats no request. Whatever is kept was
cleaned first; references are read from the text as it was written.
"""

import json
import sqlite3
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import astuple, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final, Self, cast, get_args

from factory.complaint import Complaint
from factory.forge.door import Door
from factory.forge.failures import ForgeError
from factory.forge.values import Around, Changes, Comment, Issue, Reference, Repo
from factory.storing import write_ahead
from factory.survey import ranking, references, texts
from factory.survey.paging import Place, after
from factory.survey.ranking import Ranking
from factory.survey.values import Item, ItemKind, ItemState, Link, LinkKind, Remark
from worktrees.lock import PATIENCE, Flock

VERSION: Final = 1
FRESH: Final = timedelta(hours=6)
"""What surrounds an item is asked again after this, or when the item changed."""
_AHEAD: Final = timedelta(days=1)
"""So far the forge's clock and ours may be apart."""
_FULL: Final = 100
_LOOK: Final = "look at its permissions and at the disk's space"
_SCHEMA: Final = (
    """
CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE items (
    number INTEGER PRIMARY KEY, kind TEXT NOT NULL, title TEXT NOT NULL, body TEXT NOT NULL,
    length INTEGER NOT NULL, state TEXT NOT NULL, author TEXT NOT NULL, association TEXT NOT NULL,
    labels TEXT NOT NULL, created TEXT NOT NULL, updated TEXT NOT NULL, url TEXT NOT NULL,
    comments INTEGER NOT NULL, draft INTEGER NOT NULL);
CREATE TABLE around (
    number INTEGER PRIMARY KEY, updated TEXT NOT NULL, asked TEXT NOT NULL);
CREATE TABLE changes (
    number INTEGER PRIMARY KEY, updated TEXT NOT NULL, head_sha TEXT NOT NULL,
    head_ref TEXT NOT NULL, head_repo TEXT NOT NULL, files TEXT NOT NULL);
CREATE TABLE links (
    source INTEGER NOT NULL, number INTEGER NOT NULL, kind TEXT NOT NULL, told INTEGER NOT NULL,
    PRIMARY KEY (source, number, kind, told)) WITHOUT ROWID;
CREATE INDEX links_back ON links (number);
CREATE TABLE comments (
    id INTEGER PRIMARY KEY, number INTEGER NOT NULL, author TEXT NOT NULL,
    association TEXT NOT NULL, body TEXT NOT NULL, created TEXT NOT NULL);
CREATE INDEX comments_of ON comments (number);
"""
    + ranking.SCHEMA
)
"""A link is ``told`` 0 by the item's own text, 1 by the forge."""
_ITEMS: Final = """
SELECT items.number, kind, title, body, state, author, association, labels, created, items.updated,
    url, comments, draft, head_sha, head_ref, head_repo, files
FROM items LEFT JOIN changes ON changes.number = items.number
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Synced:
    """What bringing the mirror up to date did; ``changed`` items were new or different."""

    items: int
    changed: int
    requests: int


@dataclass(frozen=True, slots=True)
class _Row:
    """An item as its table has it."""

    number: int
    kind: str
    title: str
    body: str
    length: int
    state: str
    author: str
    association: str
    labels: str
    created: str
    updated: str
    url: str
    comments: int
    draft: bool


def path_of(common: Path, repo: Repo) -> Path:
    """Give where the mirror of a repository lies, below the common git directory."""
    return common / "factory" / "mirror" / f"{repo.owner}+{repo.name}.sqlite".lower()


class Mirror:
    """An open mirror; use it as a context manager. All methods are for one thread."""

    def __init__(self, path: Path, repo: Repo, *, say: Callable[[str], None] | None = None) -> None:
        self.path = path
        self.repo = repo
        self._say = say or (lambda _: None)
        self.lock = Flock(path.with_suffix(".lock"))
        path.parent.mkdir(parents=True, exist_ok=True)
        self._db = self._opened()
        self._ranking: Ranking | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    # What is known

    @property
    def size(self) -> int:
        """Give how many items are known."""
        (found,) = self._db.execute("SELECT count(*) FROM items").fetchone()
        return int(found)

    @property
    def full(self) -> str:
        """Give the repository's name of today, as far as was heard."""
        return self._noted("full") or self.repo.full

    @property
    def names(self) -> frozenset[str]:
        """Give the repository's names in small letters: that asked for, and today's."""
        return frozenset({self.repo.full.lower(), self.full.lower()})

    @property
    def ranking(self) -> Ranking:
        """Give the ranking of what is known now."""
        if self._ranking is None:
            self._ranking = Ranking(self._db)
        return self._ranking

    def item(self, number: int) -> Item | None:
        """Give an item, when it is known."""
        return self.items([number]).get(number)

    def items(self, numbers: Iterable[int]) -> dict[int, Item]:
        """Give those of these items that are known."""
        rows = self._db.execute(f"{_ITEMS} WHERE items.number IN ({_these(numbers)})")
        return {row[0]: _item(row) for row in rows}

    def comments(self, number: int) -> tuple[Remark, ...]:
        """Give the last comments of an item that was a candidate, oldest first."""
        rows = self._db.execute(
            "SELECT id, author, association, body, created FROM comments WHERE number = ?"
            " ORDER BY created, id",
            (number,),
        )
        return tuple(
            Remark(
                id=row[0],
                author=row[1],
                association=row[2],
                body=row[3],
                created=datetime.fromisoformat(row[4]),
            )
            for row in rows
        )

    def links(self, numbers: Iterable[int]) -> dict[int, tuple[Link, ...]]:
        """Give for each of these what it names and what names it, as far as those are known."""
        asked = list(numbers)
        these = _these(asked)
        rows = self._db.execute(
            f"SELECT source, number, kind FROM links WHERE source IN ({these})"  # noqa: S608
            f" UNION SELECT number, source, kind FROM links WHERE number IN ({these})"
        ).fetchall()
        known = self._known({number for one, other, _ in rows for number in (one, other)})
        found: dict[int, dict[Link, None]] = {number: {} for number in asked}
        for one, other, kind in rows:
            if {one, other} <= known:
                found[one][Link(kind=kind, number=other)] = None
        return {number: tuple(sorted(links, key=_by_number)) for number, links in found.items()}

    def _known(self, numbers: Iterable[int]) -> frozenset[int]:
        rows = self._db.execute(
            f"SELECT number FROM items WHERE number IN ({_these(numbers)})"  # noqa: S608
        )
        return frozenset(number for (number,) in rows)

    def stale(self, numbers: Iterable[int], now: datetime) -> tuple[int, ...]:
        """Give those of these whose surroundings are unknown, or may have changed."""
        asked = list(numbers)
        rows = self._db.execute(
            "SELECT items.number FROM items JOIN around USING (number)"  # noqa: S608
            " WHERE around.updated >= items.updated AND asked > ?"
            f" AND items.number IN ({_these(asked)})",
            (_text(now - FRESH),),
        )
        fresh = {number for (number,) in rows}
        return tuple(number for number in asked if number not in fresh)

    def unread(self, *, waiting: int, merged: int) -> tuple[int, ...]:
        """Give those of the newest pull requests whose files are unknown or may have changed."""
        found: list[int] = []
        for state, most in (("open", waiting), ("merged", merged)):
            rows = self._db.execute(
                "SELECT number FROM (SELECT number, updated FROM items WHERE kind = 'pull'"
                " AND state = ? ORDER BY updated DESC LIMIT ?) AS newest LEFT JOIN changes"
                " USING (number) WHERE changes.updated IS NULL OR changes.updated < newest.updated",
                (state, most),
            )
            found += (number for (number,) in rows)
        return tuple(found)

    def changing(self, paths: Collection[str]) -> frozenset[int]:
        """Give the pull requests that are known to change one of these files."""
        rows = self._db.execute(
            "SELECT DISTINCT number FROM changes, json_each(changes.files)"
            " WHERE json_each.value IN (SELECT value FROM json_each(?))",
            (json.dumps(sorted(paths)),),
        )
        return frozenset(number for (number,) in rows)

    def changed(self) -> frozenset[str]:
        """Give every file that a pull request is known to change."""
        rows = self._db.execute("SELECT DISTINCT value FROM changes, json_each(changes.files)")
        return frozenset(path for (path,) in rows)

    # Bringing it up to date

    def sync(
        self, door: Door, *, now: datetime, patience: float = 0.0, most: int | None = None
    ) -> Synced:
        """Take over what changed since last time, page by page.

        Whoever comes second waits ``patience`` seconds for the first, and then reads what is there.
        ``most`` bounds the pages. A `ForgeError` leaves what was taken over until then.
        """
        if not self.lock.acquire(patience):
            self._say("another survey is bringing the mirror up to date; reading what is there")
            return Synced(items=self.size, changed=0, requests=0)
        try:
            return self._synced(door, now, most)
        finally:
            self.lock.release()

    def keep(self, issues: Iterable[Issue]) -> int:
        """Take over these items, and give how many of them were new or different."""
        with self._writing():
            return sum(self._kept(issue) for issue in issues)

    def surround(self, asked: Sequence[int], found: Iterable[Around], now: datetime) -> None:
        """Keep what surrounds these items; those of which nothing was told are gone."""
        told = {each.number: each for each in found}
        with self._writing():
            for number in asked:
                if number in told:
                    self._surrounded(told[number], now)
                else:
                    self._gone(number)

    def change(self, found: Iterable[Changes]) -> None:
        """Keep what pull requests change."""
        with self._writing():
            for changes in found:
                self._change(changes)

    def _synced(self, door: Door, now: datetime, most: int | None) -> Synced:
        before, changed, pages = door.requests, 0, 0
        seen = frozenset[int]()
        self._identify(door)
        self._doubt(now)
        while most is None or pages < most:
            place = self._place()
            page = door.page(since=place.since, place=place.page, etag=place.etag)
            pages += 1
            if page.issues is None:
                break
            numbers = frozenset(issue.number for issue in page.issues)
            if place.page > 1 and numbers and numbers <= seen:
                with self._writing():
                    self._go_on(Place(since=place.since))
                raise ForgeError(
                    f"{self.repo.full}: the forge gives the same page of items again and again"
                )
            seen = numbers | (seen if place.page > 1 else frozenset())
            with self._writing():
                shifted = self._shifted(place.crowd, page.issues)
                changed += sum(self._kept(issue) for issue in page.issues)
                full = page.following or len(page.issues) >= _FULL
                self._go_on(after(place, page.issues, page.etag, full=full, shifted=shifted))
            if pages % 10 == 0:
                self._say(f"mirror of {self.repo.full}: {self.size:,} items")
            if not (full or shifted):
                break
        with self._writing():
            self._note("synced", _text(now))
        return Synced(items=self.size, changed=changed, requests=door.requests - before)

    def _doubt(self, now: datetime) -> None:
        """Begin anew where changes of a time to come were told: nothing later would be read."""
        since = self._place().since
        if since is not None and since > now + _AHEAD:
            self._say(f"{self.repo.host} told of changes after today: all is read anew")
            with self._writing():
                self._go_on(Place())

    def _identify(self, door: Door) -> None:
        """Begin anew when another repository bears this name now."""
        there = door.repository()
        known = self._noted("node")
        if known not in {"", there.node} or self._noted("host") not in {"", self.repo.host}:
            self._say(f"{self.repo.full} is another repository now: its mirror begins anew")
            self._renew()
        if there.full.lower() != self.repo.full.lower() and self._noted("full") != there.full:
            self._say(f"{self.repo.full} is called {there.full} now")
        with self._writing():
            self._note("node", there.node)
            self._note("host", self.repo.host)
            self._note("full", there.full)

    def _shifted(self, crowd: datetime | None, issues: Iterable[Issue]) -> bool:
        """Say whether an item of a crowded second came here: then the others there moved up.

        One of them may have moved from a page not yet read to one that was.
        """
        if crowd is None:
            return False
        moved = _these(one.number for one in issues if one.updated > crowd)
        rows = self._db.execute(
            f"SELECT 1 FROM items WHERE updated = ? AND number IN ({moved})",  # noqa: S608
            (_text(crowd),),
        )
        return rows.fetchone() is not None

    def _kept(self, issue: Issue) -> bool:
        row = _row(issue)
        old = self._db.execute("SELECT * FROM items WHERE number = ?", (row.number,)).fetchone()
        if old is not None:
            known = _Row(*old)
            # What another process took over meanwhile may be newer than what we were told.
            if known.updated > row.updated or astuple(known) == astuple(row):
                return False
            ranking.forget(self._db, known.number, known.title, known.body)
        marks = ",".join("?" * len(astuple(row)))
        self._db.execute(f"INSERT OR REPLACE INTO items VALUES ({marks})", astuple(row))  # noqa: S608
        ranking.index(self._db, row.number, row.title, row.body)
        self._ranking = None
        self._db.execute("DELETE FROM links WHERE source = ? AND told = 0", (row.number,))
        named = references.found(f"{issue.title}\n\n{issue.body}", self.repo.host, self.names)
        self._link(row.number, named, told=0)
        return True

    def _link(self, source: int, links: Iterable[Link], *, told: int) -> None:
        self._db.executemany(
            "INSERT OR IGNORE INTO links VALUES (?, ?, ?, ?)",
            [(source, link.number, link.kind, told) for link in links if link.number != source],
        )

    def _surrounded(self, around: Around, now: datetime) -> None:
        number = around.number
        self._db.execute(
            "INSERT OR REPLACE INTO around VALUES (?, ?, ?)",
            (number, _text(around.updated), _text(now)),
        )
        if around.changes is not None:
            self._change(around.changes)
        self._db.execute("DELETE FROM links WHERE source = ? AND told = 1", (number,))
        self._link(number, _links(around.references, self.names), told=1)
        self._db.execute("DELETE FROM comments WHERE number = ?", (number,))
        self._db.executemany(
            "INSERT OR REPLACE INTO comments VALUES (?, ?, ?, ?, ?, ?)",
            [_comment(number, comment) for comment in around.comments],
        )

    def _change(self, changes: Changes) -> None:
        # A name that would have to be cleaned is nobody's honest file.
        files = [path for path in changes.files if texts.title(path) == path]
        self._db.execute(
            "INSERT OR REPLACE INTO changes VALUES (?, ?, ?, ?, ?, ?)",
            (
                changes.number,
                _text(changes.updated),
                changes.head_sha,
                texts.title(changes.head_ref),
                texts.title(changes.head_repo),
                json.dumps(files),
            ),
        )

    def _gone(self, number: int) -> None:
        """Forget an item that was deleted, or transferred to another repository."""
        old = self._db.execute("SELECT * FROM items WHERE number = ?", (number,)).fetchone()
        if old is not None:
            known = _Row(*old)
            ranking.forget(self._db, number, known.title, known.body)
            self._ranking = None
        for table, column in (
            ("items", "number"),
            ("around", "number"),
            ("changes", "number"),
            ("comments", "number"),
            ("links", "source"),
        ):
            self._db.execute(f"DELETE FROM {table} WHERE {column} = ?", (number,))  # noqa: S608

    # The file

    def _place(self) -> Place:
        since, page, etag, crowd = map(self._noted, ("since", "page", "etag", "crowd"))
        return Place(
            since=datetime.fromisoformat(since) if since else None,
            page=int(page or 1),
            etag=etag,
            crowd=datetime.fromisoformat(crowd) if crowd else None,
        )

    def _go_on(self, place: Place) -> None:
        self._note("since", "" if place.since is None else _text(place.since))
        self._note("page", str(place.page))
        self._note("etag", place.etag)
        self._note("crowd", "" if place.crowd is None else _text(place.crowd))

    def _noted(self, name: str) -> str:
        row = self._db.execute("SELECT value FROM meta WHERE name = ?", (name,)).fetchone()
        return "" if row is None else str(row[0])

    def _note(self, name: str, value: str) -> None:
        self._db.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (name, value))

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
            except BaseException:
                self._db.execute("ROLLBACK")
                raise
            self._db.execute("COMMIT")
        except sqlite3.DatabaseError as error:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise Complaint(
                f"{self.path} cannot be written: {error}",
                hint="look at the disk's space, or remove the file: it is made anew",
                code=7,
            ) from error

    def _opened(self) -> sqlite3.Connection:
        """Open the file; one that is broken or of another version is made anew."""
        found = self._connected()
        if isinstance(found, sqlite3.Connection):
            return found
        if not self.lock.acquire(PATIENCE):
            raise Complaint(
                f"{self.path} is {found}, and {self.lock.holder()} works on it",
                hint="try again when that has ended",
                code=6,
            )
        try:
            # Whoever held the lock may have made it anew.
            found = self._connected()
            if isinstance(found, sqlite3.Connection):
                return found
            self._say(f"the mirror of {self.repo.full} is {found}: it is made anew")
            self._remove()
            found = self._connected()
        finally:
            self.lock.release()
        if isinstance(found, sqlite3.Connection):
            return found
        raise Complaint(f"{self.path} is {found} also when new", hint=_LOOK, code=7)

    def _connected(self) -> sqlite3.Connection | str:
        """Give the connection, with the tables in it; else what is wrong with the file."""
        db = None
        try:
            db = sqlite3.connect(self.path, timeout=30, isolation_level=None)
            wrong = _prepared(db)
        except sqlite3.OperationalError as error:
            if db is not None:
                db.close()
            raise Complaint(f"{self.path} cannot be opened: {error}", hint=_LOOK, code=7) from error
        except sqlite3.DatabaseError:
            wrong = "damaged"
        except BaseException:
            if db is not None:
                db.close()
            raise
        if db is not None and not wrong:
            return db
        if db is not None:
            db.close()
        return wrong

    def _renew(self) -> None:
        self._db.close()
        self._remove()
        self._ranking = None
        self._db = self._opened()

    def _remove(self) -> None:
        for end in ("", "-wal", "-shm"):
            with suppress(FileNotFoundError):
                Path(f"{self.path}{end}").unlink()


def _prepared(db: sqlite3.Connection) -> str:
    """Make the tables where there are none, and say what is wrong with those that are there."""
    write_ahead(db)
    db.execute("PRAGMA synchronous = NORMAL")
    # Two processes may find the file new at once.
    db.execute("BEGIN IMMEDIATE")
    (version,) = db.execute("PRAGMA user_version").fetchone()
    if version == 0:
        for statement in filter(str.strip, _SCHEMA.split(";")):
            db.execute(statement)
        db.execute(f"PRAGMA user_version = {VERSION}")
    db.execute("COMMIT")
    (sound,) = db.execute("PRAGMA quick_check(1)").fetchone()
    if sound != "ok":
        return "damaged"
    return "" if version in {0, VERSION} else "of another version"


def _row(issue: Issue) -> _Row:
    state = "merged" if issue.merged else "open" if issue.state == "open" else "closed"
    return _Row(
        number=issue.number,
        kind="pull" if issue.is_pull else "issue",
        title=texts.title(issue.title),
        body=texts.body(issue.body),
        length=len(issue.body),
        state=state,
        author=texts.title(issue.author.login),
        association=texts.title(issue.association),
        labels=json.dumps([texts.title(label) for label in issue.labels]),
        created=_text(issue.created),
        updated=_text(issue.updated),
        url=texts.title(issue.url),
        comments=issue.comments,
        draft=issue.draft,
    )


def _item(row: Sequence[Any]) -> Item:
    return Item(
        number=row[0],
        kind=cast(ItemKind, row[1]),
        title=row[2],
        body=row[3],
        state=cast(ItemState, row[4]),
        author=row[5],
        association=row[6],
        labels=tuple(json.loads(row[7])),
        created=datetime.fromisoformat(row[8]),
        updated=datetime.fromisoformat(row[9]),
        url=row[10],
        comments=row[11],
        draft=bool(row[12]),
        head_sha=row[13] or "",
        head_ref=row[14] or "",
        head_repo=row[15] or "",
        files=tuple(json.loads(row[16] or "[]")),
    )


def _comment(number: int, comment: Comment) -> tuple[object, ...]:
    return (
        comment.id,
        number,
        texts.title(comment.author.login),
        texts.title(comment.association),
        texts.body(comment.body, most=texts.COMMENT),
        _text(comment.created),
    )


def _links(found: Iterable[Reference], here: Collection[str]) -> Iterator[Link]:
    for reference in found:
        if reference.repo.lower() in here and reference.kind in get_args(LinkKind):
            yield Link(kind=cast(LinkKind, reference.kind), number=reference.number)


def _these(numbers: Iterable[int]) -> str:
    return ",".join(str(int(number)) for number in numbers)


def _by_number(link: Link) -> tuple[int, str]:
    return link.number, link.kind


def _text(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="seconds")
