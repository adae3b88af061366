"""The questions and commands that GitHub answers in GraphQL only."""

from collections.abc import Mapping
from typing import Final

STATUS: Final[Mapping[str, int]] = {
    "NOT_FOUND": 404,
    "FORBIDDEN": 403,
    "INSUFFICIENT_SCOPES": 403,
    "UNAUTHENTICATED": 401,
    "STALE_DATA": 409,
    "UNPROCESSABLE": 422,
}
"""The statuses that REST has for GraphQL's kinds of errors."""
VIEWER: Final = "query { viewer { login } }"
_ITEM: Final = """
fragment item on ReferencedSubject {
  __typename
  ... on Issue { number url opened: state }
  ... on PullRequest { number url state }
}
"""
_NAMED: Final = """
timelineItems(first: 100, itemTypes: [CROSS_REFERENCED_EVENT]) {
  nodes { ... on CrossReferencedEvent { willCloseTarget source { ...item } } }
}
"""
ISSUE_REFERENCES: Final = (
    """
query ($owner: String!, $name: String!, $number: Int!) {
  repository(owner: $owner, name: $name) {
    issue(number: $number) {
      closedByPullRequestsReferences(first: 100, includeClosedPrs: true) {
        nodes { __typename number state url }
      }
"""
    f"{_NAMED} }} }} }} {_ITEM}"
)
EDITS: Final = """
query ($owner: String!, $name: String!, $number: Int!) {
  repository(owner: $owner, name: $name) {
    issue(number: $number) {
      lastEditedAt
      editor { __typename login }
      userContentEdits(first: 100) {
        pageInfo { hasNextPage }
        nodes { editedAt editor { __typename login } }
      }
    }
  }
}
"""
PULL_REFERENCES: Final = (
    """
query ($owner: String!, $name: String!, $number: Int!) {
  repository(owner: $owner, name: $name) {
    pullRequest(number: $number) {
      closingIssuesReferences(first: 100) { nodes { __typename number state url } }
"""
    f"{_NAMED} }} }} }} {_ITEM}"
)
THREADS: Final = """
query ($owner: String!, $name: String!, $number: Int!, $after: String) {
  repository(owner: $owner, name: $name) {
    pullRequest(number: $number) {
      reviewThreads(first: 100, after: $after) {
        pageInfo { hasNextPage endCursor }
        nodes {
          id isResolved isOutdated path line
          comments(first: 100) {
            nodes {
              databaseId body url createdAt updatedAt authorAssociation
              author { __typename login }
            }
          }
        }
      }
    }
  }
}
"""
AUTO_MERGE: Final = """
mutation ($id: ID!, $how: PullRequestMergeMethod!, $sha: GitObjectID!) {
  enablePullRequestAutoMerge(
    input: {pullRequestId: $id, mergeMethod: $how, expectedHeadOid: $sha}
  ) { clientMutationId }
}
"""
ENQUEUE: Final = """
mutation ($id: ID!, $sha: GitObjectID!) {
  enqueuePullRequest(input: {pullRequestId: $id, expectedHeadOid: $sha}) { clientMutationId }
}
"""
READY: Final = """
mutation ($id: ID!) {
  markPullRequestReadyForReview(input: {pullRequestId: $id}) { clientMutationId }
}
"""
RESOLVE: Final = """
mutation ($id: ID!) {
  resolveReviewThread(input: {threadId: $id}) { clientMutationId }
}
"""
ANSWER: Final = """
mutation ($id: ID!, $body: String!) {
  addPullRequestReviewThreadReply(
    input: {pullRequestReviewThreadId: $id, body: $body}
  ) { clientMutationId }
}
"""
QUEUED: Final = """
query ($owner: String!, $name: String!, $number: Int!) {
  repository(owner: $owner, name: $name) { pullRequest(number: $number) { isInMergeQueue } }
}
"""
