"""Search for issues and pull requests: words, qualifiers, AND, OR, NOT and parentheses."""

import re
from collections.abc import Callable, Sequence

from tests.forge.refusal import RefusedError
from tests.forge.world import Issue, Repo

Hit = tuple[Repo, Issue]
Test = Callable[[Repo, Issue], bool]

_WORD = re.compile(r'\(|\)|-?[\w.-]+:(?:"[^"]*"|[^\s()]+)|-?"[^"]*"|[^\s()]+')
_MOST_OPERATORS = 5
_LONGEST = 256


def found(query: str, repos: Sequence[Repo], login: str) -> list[Hit]:
    """Give what a query finds, the newest first."""
    words = _WORD.findall(query)
    free = " ".join(word for word in words if not re.match(r"-?[\w.-]+:", word))
    if len(free) > _LONGEST:
        raise RefusedError(
            422, "Validation Failed", [_error("The search is longer than 256 characters.")]
        )
    if sum(word in {"AND", "OR", "NOT"} for word in words) > _MOST_OPERATORS:
        raise RefusedError(
            422, "Validation Failed", [_error("More than five AND / OR / NOT operators.")]
        )
    where: set[str] = set()
    rest = []
    for word in words:
        if word.lower().startswith("in:"):
            where |= set(word[3:].split(","))
        else:
            rest.append(word)
    test = _Reader(rest, frozenset(where or {"title", "body"}), login).whole()
    hits = [(repo, issue) for repo in repos for issue in repo.issues.values() if test(repo, issue)]
    return sorted(hits, key=lambda hit: hit[1].created, reverse=True)


def _error(message: str) -> dict[str, str]:
    return {"resource": "Search", "field": "q", "code": "invalid", "message": message}


class _Reader:
    """Reads a query; two words beside each other both have to hold."""

    def __init__(self, words: list[str], where: frozenset[str], login: str) -> None:
        self._words = words
        self._where = where
        self._login = login

    def whole(self) -> Test:
        test = self._either()
        if self._words:
            raise RefusedError(422, "Validation Failed", [_error("Unbalanced parentheses.")])
        return test

    def _either(self) -> Test:
        one = self._both()
        while self._next() == "OR":
            self._words.pop(0)
            left, right = one, self._both()
            one = _or(left, right)
        return one

    def _both(self) -> Test:
        tests = []
        while (word := self._next()) not in {None, ")", "OR"}:
            if word == "AND":
                self._words.pop(0)
                continue
            tests.append(self._single())
        return lambda repo, issue: all(test(repo, issue) for test in tests)

    def _single(self) -> Test:
        word = self._words.pop(0)
        if word == "NOT":
            inner = self._single()
            return lambda repo, issue: not inner(repo, issue)
        if word == "(":
            inner = self._either()
            if self._next() != ")":
                raise RefusedError(422, "Validation Failed", [_error("Unbalanced parentheses.")])
            self._words.pop(0)
            return inner
        if word.startswith("-") and len(word) > 1:
            inner = self._leaf(word[1:])
            return lambda repo, issue: not inner(repo, issue)
        return self._leaf(word)

    def _next(self) -> str | None:
        return self._words[0] if self._words else None

    def _leaf(self, word: str) -> Test:
        name, colon, value = word.partition(":")
        value = value.strip('"')
        if not colon or word.startswith('"'):
            return self._text(word.strip('"').lower())
        match name:
            case "is" | "type" | "state":
                return _is(value)
            case "repo":
                return lambda repo, _: repo.full.lower() == value.lower()
            case "label":
                return lambda _, issue: value.lower() in {name.lower() for name in issue.labels}
            case "author":
                wanted = self._login if value == "@me" else value.removeprefix("app/")
                return lambda _, issue: (
                    issue.author.removesuffix("[bot]") == wanted.removesuffix("[bot]")
                )
            case "head":
                return lambda _, issue: issue.pull is not None and issue.pull.head_ref == value
            case "base":
                return lambda _, issue: issue.pull is not None and issue.pull.base_ref == value
            case "linked":
                return lambda _, issue: any(
                    entry.event == "cross-referenced" and entry.more["source"].pull is not None
                    for entry in issue.timeline
                )
            case "no" if value == "label":
                return lambda _, issue: not issue.labels
        raise RefusedError(422, "Validation Failed", [_error(f"The hub knows no {name}:{value}.")])

    def _text(self, word: str) -> Test:
        def holds(repo: Repo, issue: Issue) -> bool:
            texts = {
                "title": issue.title,
                "body": issue.body or "",
                "comments": "\n".join(
                    c.body for c in repo.comments.values() if c.number == issue.number
                ),
            }
            return any(word in texts.get(place, "").lower() for place in self._where)

        return holds


def _is(value: str) -> Test:
    match value:
        case "issue":
            return lambda _, issue: issue.pull is None
        case "pr" | "pull-request":
            return lambda _, issue: issue.pull is not None
        case "open" | "closed":
            return lambda _, issue: issue.state == value
        case "merged":
            return lambda _, issue: issue.pull is not None and issue.pull.merged is not None
        case "unmerged":
            return lambda _, issue: issue.pull is not None and issue.pull.merged is None
        case "draft":
            return lambda _, issue: issue.pull is not None and issue.pull.draft
        case "public" | "private":
            return lambda repo, _: repo.private is (value == "private")
        case _:
            text = f"The hub knows no is:{value}."
            raise RefusedError(422, "Validation Failed", [_error(text)])


def _or(left: Test, right: Test) -> Test:
    return lambda repo, issue: left(repo, issue) or right(repo, issue)
