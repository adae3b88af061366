"""Writes that may be asked for any number of times and leave exactly one thing behind.

Each looks first, writes once, and after an answer that tells nothing looks again. It writes a
second time only when the thing was not seen in several looks. What two processes made at once is
seen in the look after the write, and the later one is removed, where GitHub lets it be removed: a
check run cannot be, and there the newer one counts.
"""

import hashlib
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Generic, Literal, TypeVar

from factory.forge.door import Door
from factory.forge.failures import Conflict, ForgeError, Missing, Refused, Unknown
from factory.forge.values import Check, Comment, Pull
from factory.forge.writing import How

Operation = Literal["created", "updated", "none"]
LONGEST: Final = 65_536
"""Characters that GitHub takes as the text of a pull request or a comment."""
_CUT: Final = "\n\n*The rest does not fit here.*"
_WRITES: Final = 3
_LOOKS: Final = (0.0, 1.0, 2.0, 4.0)
"""Seconds to wait before each look: what was written is not always seen at once."""
T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept(Generic[T]):
    """What is there now, and what was done for it."""

    value: T
    operation: Operation


def key_of(*parts: str) -> str:
    """Give the key of a thing that these words name: eight hexadecimal digits."""
    # Lengths keep ("ab", "c") and ("a", "bc") apart.
    text = "".join(f"{len(part)}:{part}" for part in parts)
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()[:8]


def marker(key: str) -> str:
    """Give the invisible line by which a text of ours is found again."""
    return f"<!-- factory:key={key} v=1 -->"


def marked(body: str, key: str) -> str:
    """Give a text that ends in its marker and is no longer than GitHub takes."""
    end = f"\n\n{marker(key)}"
    text = body.rstrip()
    room = LONGEST - len(end)
    return (text if len(text) <= room else text[: room - len(_CUT)] + _CUT) + end


def bears(body: str, key: str) -> bool:
    """Say whether a text ends in this marker; one quoted further up makes nothing ours."""
    return body.rstrip().endswith(marker(key))


class Keeper:
    """Writes through a door, each thing once."""

    def __init__(self, door: Door, *, wait: Callable[[float], object] | None = None) -> None:
        self._door = door
        self._wait: Callable[[float], object] = threading.Event().wait if wait is None else wait

    def pull(
        self, key: str, *, head: str, base: str, title: str, body: str, draft: bool = True
    ) -> Kept[Pull]:
        """Have one pull request of a branch; an existing one is reused, also one that is closed.

        Title, text and base are changed only while it is open and our marker stands in it.
        """
        text = marked(body, key)
        there = self._pull(head)
        operation: Operation = "none"
        if there is None:
            there = self._made(
                lambda: self._door.create_pull(
                    head=head, base=base, title=title, body=text, draft=draft
                ),
                lambda: self._pull(head),
            )
            operation = "created"
        wanted = (title, _plain(text), base)
        found = there
        if (
            found.state != "open"
            or not bears(found.body, key)
            or (found.title, _plain(found.body), found.base_ref) == wanted
        ):
            return Kept(value=found, operation=operation)
        number = found.number
        edited = self._repeated(
            lambda: self._door.edit_pull(number, title=title, body=text, base=base)
        )
        return Kept(value=edited, operation="created" if operation == "created" else "updated")

    def comment(self, number: int, key: str, body: str) -> Kept[Comment]:
        """Have one comment of ours with this key, saying this."""
        text = marked(body, key)
        ours = self._comments(number, key)
        operation: Operation = "none"
        if not ours:
            made = self._made(
                lambda: self._door.create_comment(number, text),
                lambda: next(iter(self._comments(number, key)), None),
            )
            ours = self._comments(number, key) or (made,)
            operation = "created"
        first, *later = ours
        for one in later:
            self._gone(one.id)
        if _plain(first.body) == _plain(text):
            return Kept(value=first, operation=operation)
        edited = self._repeated(lambda: self._door.edit_comment(first.id, text))
        return Kept(value=edited, operation="created" if operation == "created" else "updated")

    def answer(self, number: int, thread: str, key: str, body: str) -> Kept[Comment]:
        """Have one answer of ours in the talk about a line of a pull request."""
        text = marked(body, key)

        def look() -> Comment | None:
            me = self._door.me()
            talks = (talk for talk in self._door.threads(number) if talk.id == thread)
            said = (one for talk in talks for one in talk.comments)
            return next((c for c in said if c.author.login == me and bears(c.body, key)), None)

        there = look()
        if there is not None:
            return Kept(value=there, operation="none")
        made = self._made(self._then(lambda: self._door.answer(thread, text), look), look)
        return Kept(value=made, operation="created")

    def label(self, number: int, names: Sequence[str]) -> Kept[tuple[str, ...]]:
        """Have these labels on an issue or pull request, beside those that it has."""
        there = self._door.issue(number).labels
        held = {name.casefold() for name in there}
        new = tuple(name for name in dict.fromkeys(names) if name.casefold() not in held)
        if not new:
            return Kept(value=there, operation="none")
        now = self._repeated(lambda: self._door.add_labels(number, new))
        return Kept(value=now, operation="updated")

    def unlabel(self, number: int, name: str) -> Kept[tuple[str, ...]]:
        """Have an issue or pull request without this label."""
        there = self._door.issue(number).labels
        left = tuple(each for each in there if each.casefold() != name.casefold())
        if left == there:
            return Kept(value=there, operation="none")

        def write() -> tuple[str, ...]:
            try:
                self._door.remove_label(number, name)
            except Missing:
                return left
            return left

        return Kept(value=self._repeated(write), operation="updated")

    def check(
        self,
        sha: str,
        key: str,
        *,
        name: str,
        status: str,
        conclusion: str | None = None,
        title: str,
        summary: str,
        url: str = "",
    ) -> Kept[Check]:
        """Have one check of ours with this key on a commit, reporting this."""
        external = f"factory:{key}"
        ours = self._door.me().removesuffix("[bot]")

        def look() -> Check | None:
            runs = self._door.checks(sha, name=name)
            return next((c for c in runs if (c.external_id, c.app) == (external, ours)), None)

        def wanted(found: Check) -> bool:
            told = (found.status, found.conclusion, found.title, found.summary)
            return told == (status, conclusion, title, summary)

        there = look()
        operation: Operation = "none"
        if there is None:
            there = self._made(
                lambda: self._door.create_check(
                    sha,
                    name=name,
                    status=status,
                    conclusion=conclusion,
                    title=title,
                    summary=summary,
                    external_id=external,
                    url=url,
                ),
                look,
            )
            operation = "created"
        if wanted(there):
            return Kept(value=there, operation=operation)
        number = there.id
        now = self._repeated(
            lambda: self._door.update_check(
                number, status=status, conclusion=conclusion, title=title, summary=summary, url=url
            )
        )
        return Kept(value=now, operation="created" if operation == "created" else "updated")

    def branch(self, name: str, sha: str) -> Kept[str]:
        """Have a branch at a commit that the forge has; `Conflict` when it is elsewhere."""
        there = self._door.branch(name)
        operation: Operation = "none"
        if there is None:
            there = self._made(lambda: self._ref(name, sha), lambda: self._door.branch(name))
            operation = "created"
        if there != sha:
            raise Conflict(f"branch {name} is at {there[:12]} and not at {sha[:12]}")
        return Kept(value=there, operation=operation)

    def unbranch(self, name: str) -> Kept[str]:
        """Have no such branch."""
        there = self._door.branch(name)
        if there is None:
            return Kept(value="", operation="none")

        def write() -> str:
            try:
                self._door.delete_ref(f"refs/heads/{name}")
            except (Refused, Missing):
                if self._door.branch(name) is not None:
                    raise
            return there

        return Kept(value=self._repeated(write), operation="updated")

    def reviewers(
        self, number: int, *, people: Sequence[str] = (), teams: Sequence[str] = ()
    ) -> None:
        """Have these people and teams asked to look; asking again changes nothing."""
        self._repeated(lambda: self._door.request_reviews(number, people=people, teams=teams))

    def merge(self, pull: Pull, *, how: How = "merge") -> Kept[str]:
        """Have a pull request merged at exactly the head it had; give the merged commit."""

        def look() -> str | None:
            now = self._door.pull(pull.number)
            return now.merge_commit if now.merged else None

        there = look()
        if there is not None:
            return Kept(value=there, operation="none")
        merged = self._made(lambda: self._door.merge(pull.number, sha=pull.head_sha, how=how), look)
        return Kept(value=merged, operation="updated")

    def ready(self, pull: Pull) -> Kept[Pull]:
        """Have a pull request that is no draft."""
        return self._turned(
            pull, lambda: self._door.ready(pull), lambda now: not now.draft or now.merged
        )

    def auto_merge(self, pull: Pull, *, how: How = "merge") -> Kept[Pull]:
        """Have the forge merge this head by itself when its rules allow."""
        return self._turned(
            pull,
            lambda: self._door.enable_auto_merge(pull, how=how, sha=pull.head_sha),
            lambda now: now.auto_merge or now.merged,
        )

    def enqueue(self, pull: Pull) -> Kept[Pull]:
        """Have this head in the merge queue of its base."""
        return self._turned(
            pull,
            lambda: self._door.enqueue(pull, sha=pull.head_sha),
            lambda now: now.merged or self._door.queued(pull.number),
        )

    def dispatch(
        self, workflow: str, *, ref: str, sha: str, inputs: Mapping[str, str] | None = None
    ) -> Kept[bool]:
        """Have a workflow started once on the commit that ``ref`` is at."""

        def look() -> bool | None:
            return self._door.dispatched(workflow, sha) or None

        def write() -> bool:
            self._door.dispatch(workflow, ref=ref, inputs=inputs)
            return True

        if look():
            return Kept(value=True, operation="none")
        return Kept(value=self._made(write, look), operation="created")

    def resolve(self, thread: str) -> None:
        """Have the talk about a line settled; settling it again changes nothing."""
        self._repeated(lambda: self._door.resolve(thread))

    def _turned(
        self, pull: Pull, write: Callable[[], None], there: Callable[[Pull], bool]
    ) -> Kept[Pull]:
        def look() -> Pull | None:
            now = self._door.pull(pull.number)
            return now if there(now) else None

        found = look()
        if found is not None:
            return Kept(value=found, operation="none")
        made = self._made(self._then(write, look), look)
        return Kept(value=made, operation="updated")

    def _then(self, write: Callable[[], None], look: Callable[[], T | None]) -> Callable[[], T]:
        """Give a write that gives what it wrote, for calls that do not tell it."""

        def written() -> T:
            write()
            for pause in _LOOKS:
                self._wait(pause)
                found = look()
                if found is not None:
                    return found
            raise Unknown("the forge took it, and does not show it")

        return written

    def _made(self, write: Callable[[], T], look: Callable[[], T | None]) -> T:
        """Write once; after an unknown effect look, and write again only what is not there."""
        for left in reversed(range(_WRITES)):
            try:
                return write()
            except Refused:
                # Perhaps only because somebody, or our own lost call, was first.
                found = look()
                if found is not None:
                    return found
                raise
            except Unknown as unknown:
                found = self._found(look, unknown)
                if found is not None:
                    return found
                if not left:
                    raise
        raise AssertionError

    def _found(self, look: Callable[[], T | None], unknown: Unknown) -> T | None:
        for pause in _LOOKS:
            self._wait(pause)
            try:
                found = look()
            except ForgeError as error:
                # Whoever hears only of the failed look would believe that nothing was written.
                raise unknown from error
            if found is not None:
                return found
        return None

    def _repeated(self, write: Callable[[], T]) -> T:
        """Write what has the same effect any number of times."""
        for pause in _LOOKS[1:_WRITES]:
            try:
                return write()
            except Unknown:
                self._wait(pause)
        return write()

    def _pull(self, head: str) -> Pull | None:
        named = head if ":" in head else f"{self._door.repo.owner}:{head}"
        found = self._door.pulls(head=named, state="all")
        return next((pull for pull in found if pull.state == "open"), next(iter(found), None))

    def _comments(self, number: int, key: str) -> tuple[Comment, ...]:
        """Give our own comments with this key: anybody can write a marker."""
        me = self._door.me()
        found = (c for c in self._door.comments(number) if c.author.login == me)
        return tuple(sorted((c for c in found if bears(c.body, key)), key=lambda c: c.id))

    def _gone(self, comment_id: int) -> None:
        def write() -> None:
            try:
                self._door.delete_comment(comment_id)
            except Missing:
                return

        self._repeated(write)

    def _ref(self, name: str, sha: str) -> str:
        self._door.create_ref(f"refs/heads/{name}", sha)
        return sha


def _plain(text: str) -> str:
    """Give a text as a forge may give it back."""
    return text.replace("\r\n", "\n").strip()
