"""What a forge answers, read into values; an answer of another shape is a `ForgeError`."""

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Final, TypeVar
from urllib.parse import urlsplit

from factory.forge.failures import ForgeError
from factory.forge.values import (
    Annotation,
    ChangedFile,
    Check,
    Comment,
    Commit,
    Edit,
    Happened,
    Issue,
    Person,
    Pull,
    Rate,
    Reference,
    Repository,
    Review,
    Rules,
    Status,
    Thread,
)

GHOST: Final = Person(login="ghost", kind="User", id=0)
"""Whoever deleted their account."""
_REPOS: Final = "/repos/"
_FULL: Final = re.compile(r"[\w.-]{1,100}/[\w.-]{1,100}", re.ASCII)
_LARGEST: Final = 2**63 - 1
"""What SQLite and every forge's own database can hold."""
_T = TypeVar("_T")


class Part:
    """An object of an answer, read key by key; ``about`` says whose answer it is."""

    def __init__(self, value: object, about: str) -> None:
        if not isinstance(value, dict):
            raise ForgeError(f"{about}: the answer is no object")
        self._value: Mapping[str, object] = value
        self._about = about

    def text(self, key: str) -> str:
        """Give a text that must be there; half a character in it is a question mark."""
        return self._typed(key, str).encode("utf-8", "replace").decode()

    def words(self, key: str) -> str:
        """Give a text; empty when there is none."""
        return self.text(key) if self.has(key) else ""

    def number(self, key: str) -> int:
        """Give a number that must be there."""
        return self._typed(key, int)

    def count(self, key: str) -> int:
        """Give a number; 0 when there is none."""
        return self._typed(key, int) if self.has(key) else 0

    def flag(self, key: str) -> bool:
        """Give a truth; False when nothing is said."""
        return self._typed(key, bool) if self.has(key) else False

    def moment(self, key: str) -> datetime:
        """Give a time that must be there, in UTC."""
        try:
            found = datetime.fromisoformat(self.text(key))
            return found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)
        except (ValueError, OverflowError) as error:
            raise ForgeError(f"{self._about}: {key} is no time") from error

    def moment_or_none(self, key: str) -> datetime | None:
        """Give a time, when there is one."""
        return self.moment(key) if self.has(key) else None

    def part(self, key: str) -> "Part":
        """Give an object that must be there."""
        return Part(self._value.get(key), f"{self._about}: {key}")

    def part_or_none(self, key: str) -> "Part | None":
        """Give an object, when there is one."""
        return self.part(key) if self.has(key) else None

    def parts(self, key: str) -> tuple["Part", ...]:
        """Give a list of objects; empty when there is none."""
        return tuple(Part(item, f"{self._about}: {key}") for item in self.items(key))

    def items(self, key: str) -> tuple[object, ...]:
        """Give a list of anything; empty when there is none."""
        return tuple(self._typed(key, list)) if self.has(key) else ()

    def nodes(self, key: str) -> tuple["Part", ...]:
        """Give the objects of a connection of GraphQL, without those one may not see."""
        return tuple(
            Part(item, f"{self._about}: {key}")
            for item in self.part(key).items("nodes")
            if item is not None
        )

    def has(self, key: str) -> bool:
        """Say whether something other than null stands under a key."""
        return self._value.get(key) is not None

    def _typed(self, key: str, kind: type[_T]) -> _T:
        found = self._value.get(key)
        if not isinstance(found, kind) or (kind is int and isinstance(found, bool)):
            raise ForgeError(f"{self._about}: {key} is no {kind.__name__}")
        if isinstance(found, int) and abs(found) > _LARGEST:
            raise ForgeError(f"{self._about}: {key} is no number that a forge would give")
        return found


def document(text: str, about: str) -> object:
    """Give what a JSON text says."""
    try:
        found: object = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ForgeError(f"{about}: the answer is no JSON") from error
    return found


def person(part: Part | None) -> Person:
    """Read an account of REST."""
    if part is None:
        return GHOST
    return Person(login=part.text("login"), kind=part.words("type") or "User", id=part.count("id"))


def repository(part: Part) -> Repository:
    """Read a repository."""
    may, full = part.part_or_none("permissions"), part.text("full_name")
    if not _FULL.fullmatch(full):
        raise ForgeError("the name of the repository is none that a repository may have")
    return Repository(
        full=full,
        default=part.text("default_branch"),
        private=part.flag("private"),
        fork=part.flag("fork"),
        has_issues=part.flag("has_issues"),
        url=part.words("html_url"),
        node=part.words("node_id"),
        auto_merge=part.flag("allow_auto_merge"),
        pushes=may is not None and may.flag("push"),
    )


def rate(part: Part) -> Rate:
    """Read what is left of the requests of the API of calls."""
    core = part.part("resources").part("core")
    try:
        reset = datetime.fromtimestamp(core.number("reset"), UTC)
    except (ValueError, OverflowError, OSError) as error:
        raise ForgeError("the end of the rate limit is no time") from error
    return Rate(left=core.number("remaining"), limit=core.number("limit"), reset=reset)


def issue(part: Part) -> Issue:
    """Read an issue."""
    return Issue(
        number=part.number("number"),
        title=part.text("title"),
        body=part.words("body"),
        state=part.text("state"),
        author=person(part.part_or_none("user")),
        labels=_labels(part),
        created=part.moment("created_at"),
        updated=part.moment("updated_at"),
        url=part.words("html_url"),
        comments=part.count("comments"),
        locked=part.flag("locked"),
        is_pull=part.has("pull_request"),
        association=part.words("author_association"),
        merged=part.has("pull_request") and part.part("pull_request").has("merged_at"),
        draft=part.flag("draft"),
    )


def comment(part: Part) -> Comment:
    """Read a comment."""
    return Comment(
        id=part.number("id"),
        author=person(part.part_or_none("user")),
        body=part.words("body"),
        created=part.moment("created_at"),
        updated=part.moment("updated_at"),
        url=part.words("html_url"),
        association=part.words("author_association"),
    )


def pull(part: Part) -> Pull:
    """Read a pull request; of a list it says neither whether it fits nor whether it merged."""
    head, base = part.part("head"), part.part("base")
    source = head.part_or_none("repo")
    return Pull(
        number=part.number("number"),
        title=part.text("title"),
        body=part.words("body"),
        state=part.text("state"),
        draft=part.flag("draft"),
        merged=part.flag("merged") or part.has("merged_at"),
        author=person(part.part_or_none("user")),
        head_ref=head.text("ref"),
        head_sha=head.text("sha"),
        head_repo=None if source is None else source.text("full_name"),
        base_ref=base.text("ref"),
        base_sha=base.text("sha"),
        mergeable=part.flag("mergeable") if part.has("mergeable") else None,
        mergeable_state=part.words("mergeable_state") or "unknown",
        labels=_labels(part),
        created=part.moment("created_at"),
        updated=part.moment("updated_at"),
        url=part.words("html_url"),
        node=part.words("node_id"),
        maintainer_can_modify=part.flag("maintainer_can_modify"),
        auto_merge=part.has("auto_merge"),
        merge_commit=part.words("merge_commit_sha"),
    )


def changed_file(part: Part) -> ChangedFile:
    """Read a file of a pull request."""
    return ChangedFile(
        path=part.text("filename"),
        previous=part.words("previous_filename"),
        status=part.text("status"),
        additions=part.count("additions"),
        deletions=part.count("deletions"),
    )


def commit(part: Part) -> Commit:
    """Read a commit of a list."""
    author = part.part_or_none("author")
    return Commit(
        sha=part.text("sha"),
        message=part.part("commit").words("message"),
        # An author without an account is an empty object.
        author=person(author) if author is not None and author.has("login") else None,
        parents=tuple(parent.text("sha") for parent in part.parts("parents")),
    )


def review(part: Part) -> Review:
    """Read a review."""
    return Review(
        id=part.number("id"),
        author=person(part.part_or_none("user")),
        state=part.text("state"),
        body=part.words("body"),
        commit=part.words("commit_id"),
        at=part.moment_or_none("submitted_at"),
    )


def check(part: Part) -> Check:
    """Read a check run."""
    output, app = part.part_or_none("output"), part.part_or_none("app")
    return Check(
        id=part.number("id"),
        name=part.text("name"),
        status=part.text("status"),
        conclusion=part.words("conclusion") or None,
        url=part.words("details_url") or part.words("html_url"),
        app="" if app is None else app.words("slug"),
        external_id=part.words("external_id"),
        started=part.moment_or_none("started_at"),
        completed=part.moment_or_none("completed_at"),
        title="" if output is None else output.words("title"),
        summary="" if output is None else output.words("summary"),
    )


def status(part: Part) -> Status:
    """Read a commit status."""
    return Status(
        context=part.text("context"),
        state=part.text("state"),
        description=part.words("description"),
        url=part.words("target_url"),
        updated=part.moment("updated_at"),
    )


def annotation(part: Part) -> Annotation:
    """Read what a check says about a line."""
    return Annotation(
        path=part.words("path"),
        line=part.count("start_line"),
        level=part.words("annotation_level"),
        title=part.words("title"),
        message=part.words("message"),
    )


def happened(part: Part) -> Happened:
    """Read an entry of a timeline."""
    source, label = part.part_or_none("source"), part.part_or_none("label")
    actor = part.part_or_none("actor")
    referring = None if source is None else source.part_or_none("issue")
    return Happened(
        kind=part.words("event"),
        actor=None if actor is None else person(actor),
        at=part.moment_or_none("created_at"),
        label="" if label is None else label.words("name"),
        commit=part.words("commit_id"),
        source=None if referring is None else _referring(referring),
    )


def rules(parts: tuple[Part, ...], classic: Part | None, *, whole: bool) -> Rules:
    """Read what rulesets and the older protection demand together."""
    found = Rules(whole=whole)
    for part in parts:
        found = _ruled(found, part)
    return found if classic is None else _protected(found, classic)


def references(part: Part) -> tuple[Reference, ...]:
    """Read from GraphQL which items close an item or name it, each once, closing ones first."""
    closing = "closedByPullRequestsReferences"
    key = closing if part.has(closing) else "closingIssuesReferences"
    found = [reference(node, "closes") for node in (part.nodes(key) if part.has(key) else ())]
    for event in part.nodes("timelineItems"):
        source = event.part_or_none("source")
        if source is not None and source.has("number"):
            found.append(
                reference(source, "closes" if event.flag("willCloseTarget") else "mentions")
            )
    first: dict[tuple[str, int], Reference] = {}
    for one in sorted(found, key=lambda each: each.kind):
        first.setdefault((one.repo, one.number), one)
    return tuple(first.values())


def edits(part: Part) -> tuple[Edit, ...]:
    """Read from GraphQL who changed the text of an issue; more than a page are nobody's."""
    last = part.moment_or_none("lastEditedAt")
    if last is None:
        return ()
    found = [Edit(by=_actor(part.part_or_none("editor")), at=last)]
    listed = part.part_or_none("userContentEdits")
    if listed is not None:
        found += (
            Edit(by=_actor(node.part_or_none("editor")), at=node.moment("editedAt"))
            for node in part.nodes("userContentEdits")
        )
        if listed.part("pageInfo").flag("hasNextPage"):
            found.append(Edit(by=GHOST, at=last))
    return tuple(found)


def thread(part: Part) -> Thread:
    """Read a talk about a line, from GraphQL."""
    return Thread(
        id=part.text("id"),
        path=part.words("path"),
        line=part.count("line") or None,
        resolved=part.flag("isResolved"),
        outdated=part.flag("isOutdated"),
        comments=tuple(remark(node) for node in part.nodes("comments")),
    )


def reference(part: Part, kind: str) -> Reference:
    """Read from GraphQL an item that another has to do with."""
    pulled = part.words("__typename") == "PullRequest"
    # Two kinds of state cannot have one name in one question.
    state = (part.words("state") or part.words("opened")).lower()
    return Reference(
        kind=kind,
        number=part.number("number"),
        # .../OWNER/NAME/issues/12, also below a company's own path
        repo="/".join(urlsplit(part.text("url")).path.split("/")[-4:-2]),
        is_pull=pulled,
        state="closed" if state == "merged" else state,
        merged=state == "merged",
    )


def remark(part: Part) -> Comment:
    """Read a comment of GraphQL."""
    return Comment(
        id=part.count("databaseId"),
        author=_actor(part.part_or_none("author")),
        body=part.words("body"),
        created=part.moment("createdAt"),
        updated=part.moment("updatedAt"),
        url=part.words("url"),
        association=part.words("authorAssociation"),
    )


def _labels(part: Part) -> tuple[str, ...]:
    # Old answers name a label by its name alone.
    names = (
        label if isinstance(label, str) else Part(label, "label").words("name")
        for label in part.items("labels")
    )
    return tuple(filter(None, names))


def _referring(part: Part) -> Reference:
    merged = part.part_or_none("pull_request")
    home = part.part_or_none("repository")
    return Reference(
        kind="mentions",
        number=part.number("number"),
        repo=part.words("repository_url").partition(_REPOS)[2]
        if home is None
        else home.words("full_name"),
        is_pull=merged is not None,
        state=part.words("state"),
        merged=merged is not None and merged.has("merged_at"),
    )


def _actor(part: Part | None) -> Person:
    """Read an account of GraphQL."""
    if part is None:
        return GHOST
    kind = part.words("__typename") or "User"
    # REST names an App's account with its suffix, GraphQL does not.
    login = part.text("login") + ("[bot]" if kind == "Bot" else "")
    return Person(login=login, kind=kind, id=0)


def _ruled(found: Rules, part: Part) -> Rules:
    asked = part.part_or_none("parameters") or Part({}, "rule")
    match part.words("type"):
        case "required_status_checks":
            names = tuple(one.text("context") for one in asked.parts("required_status_checks"))
            return replace(
                found,
                required_checks=_both(found.required_checks, names),
                strict=found.strict or asked.flag("strict_required_status_checks_policy"),
            )
        case "pull_request":
            return replace(
                found,
                pull_only=True,
                reviews=max(found.reviews, asked.count("required_approving_review_count")),
                code_owners=found.code_owners or asked.flag("require_code_owner_review"),
            )
        case "required_signatures":
            return replace(found, signatures=True)
        case "required_linear_history":
            return replace(found, linear=True)
        case "merge_queue":
            return replace(found, queue=True)
        case "update":
            return replace(found, pushes_restricted=True)
        case "file_path_restriction":
            globs = tuple(str(each) for each in asked.items("restricted_file_paths"))
            return replace(found, paths=_both(found.paths, globs))
        case _:
            return found


def _protected(found: Rules, classic: Part) -> Rules:
    checks = classic.part_or_none("required_status_checks")
    reviews = classic.part_or_none("required_pull_request_reviews")

    def on(key: str) -> bool:
        switch = classic.part_or_none(key)
        return switch is not None and switch.flag("enabled")

    if checks is not None:
        names = tuple(str(each) for each in checks.items("contexts"))
        found = replace(
            found,
            required_checks=_both(found.required_checks, names),
            strict=found.strict or checks.flag("strict"),
        )
    if reviews is not None:
        found = replace(
            found,
            pull_only=True,
            reviews=max(found.reviews, reviews.count("required_approving_review_count")),
            code_owners=found.code_owners or reviews.flag("require_code_owner_reviews"),
        )
    return replace(
        found,
        signatures=found.signatures or on("required_signatures"),
        linear=found.linear or on("required_linear_history"),
        pushes_restricted=found.pushes_restricted or classic.has("restrictions"),
    )


def _both(one: tuple[str, ...], other: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*one, *other)))
