"""What surrounds many items, asked in one question of GraphQL. Pure.

An item that is gone is not in the answer: the question is one per number, each with its own name.
"""

from collections.abc import Iterable, Iterator
from typing import Final

from factory.forge import answers
from factory.forge.answers import Part
from factory.forge.values import Around, Changes, Reference

MOST: Final = 10
"""So many items a question: each may bring some hundred entries, and GitHub gives up after 10 s."""
MOST_CHANGES: Final = 50
_TALK: Final = 20
_EVENTS: Final = "[CROSS_REFERENCED_EVENT, CONNECTED_EVENT, MARKED_AS_DUPLICATE_EVENT]"
_CHANGES: Final = """
fragment changes on PullRequest {
  number updatedAt headRefOid headRefName headRepository { nameWithOwner }
  files(first: 100) { nodes { path } }
}
"""
_AROUND: Final = f"""
fragment around on IssueOrPullRequest {{
  __typename
  ... on Issue {{
    number updatedAt comments(last: {_TALK}) {{ ...said }}
    closedByPullRequestsReferences(first: 50, includeClosedPrs: true) {{ nodes {{ ...pull }} }}
    timelineItems(last: 100, itemTypes: {_EVENTS}) {{ nodes {{ ...event }} }}
  }}
  ... on PullRequest {{
    ...changes
    comments(last: {_TALK}) {{ ...said }}
    closingIssuesReferences(first: 50) {{ nodes {{ ...issue }} }}
    timelineItems(last: 100, itemTypes: {_EVENTS}) {{ nodes {{ ...event }} }}
  }}
}}
fragment event on Node {{
  __typename
  ... on CrossReferencedEvent {{ willCloseTarget source {{ ...issue ...pull }} }}
  ... on ConnectedEvent {{ source {{ ...issue ...pull }} subject {{ ...issue ...pull }} }}
  ... on MarkedAsDuplicateEvent {{
    canonical {{ ...issue ...pull }} duplicate {{ ...issue ...pull }}
  }}
}}
fragment issue on Issue {{ __typename number url opened: state }}
fragment pull on PullRequest {{ __typename number url state }}
fragment said on IssueCommentConnection {{
  nodes {{
    databaseId body url createdAt updatedAt authorAssociation author {{ __typename login }}
  }}
}}
{_CHANGES}"""


def question(numbers: Iterable[int]) -> str:
    """Give the query for these items; it wants the owner and the name of the repository."""
    return _asking("issueOrPullRequest", "around", numbers) + _AROUND


def changes_question(numbers: Iterable[int]) -> str:
    """Give the query for what these pull requests change, and for nothing more."""
    return _asking("pullRequest", "changes", numbers) + _CHANGES


def read(repository: Part, numbers: Iterable[int]) -> tuple[Around, ...]:
    """Give what was answered of these items, without those that are gone."""
    return tuple(
        Around(
            number=number,
            updated=part.moment("updatedAt"),
            changes=_changes(number, part) if part.has("headRefOid") else None,
            references=tuple(dict.fromkeys(_references(number, part))),
            comments=tuple(map(answers.remark, part.nodes("comments"))),
        )
        for number, part in _told(repository, numbers)
    )


def read_changes(repository: Part, numbers: Iterable[int]) -> tuple[Changes, ...]:
    """Give what was answered of these pull requests, without those that are gone."""
    return tuple(_changes(number, part) for number, part in _told(repository, numbers))


def _asking(field: str, fragment: str, numbers: Iterable[int]) -> str:
    asked = " ".join(
        f"i{number}: {field}(number: {number}) {{ ...{fragment} }}" for number in numbers
    )
    return f"""
query ($owner: String!, $name: String!) {{
  repository(owner: $owner, name: $name) {{ {asked} }}
}}
"""


def _told(repository: Part, numbers: Iterable[int]) -> Iterator[tuple[int, Part]]:
    for number in numbers:
        part = repository.part_or_none(f"i{number}")
        if part is not None:
            yield number, part


def _changes(number: int, part: Part) -> Changes:
    source = part.part_or_none("headRepository")
    return Changes(
        number=number,
        updated=part.moment("updatedAt"),
        head_sha=part.text("headRefOid"),
        head_ref=part.words("headRefName"),
        head_repo="" if source is None else source.words("nameWithOwner"),
        # GitHub has no list of files for a change that is too large.
        files=tuple(node.text("path") for node in part.nodes("files")) if part.has("files") else (),
    )


def _references(number: int, part: Part) -> Iterator[Reference]:
    for key in ("closedByPullRequestsReferences", "closingIssuesReferences"):
        for node in part.nodes(key) if part.has(key) else ():
            yield answers.reference(node, "closes")
    for event in part.nodes("timelineItems"):
        match event.words("__typename"):
            case "CrossReferencedEvent":
                kind = "closes" if event.flag("willCloseTarget") else "mentions"
                ends = [event.part_or_none("source")]
            case "ConnectedEvent":
                kind = "connected"
                ends = [event.part_or_none("source"), event.part_or_none("subject")]
            case "MarkedAsDuplicateEvent":
                kind = "duplicate"
                ends = [event.part_or_none("canonical"), event.part_or_none("duplicate")]
            case _:
                continue
        for end in ends:
            if end is not None and end.has("number") and end.number("number") != number:
                yield answers.reference(end, kind)
