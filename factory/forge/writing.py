"""What is written to a forge, each thing once; whoever may be killed in between uses `keeping`."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from factory.forge import answers, queries
from factory.forge.values import Check, Comment, Pull
from factory.forge.wire import Wire, listed, path_of, segment

How = Literal["merge", "squash", "rebase"]


class Writing(Wire):
    """Writes, and looks at nothing first."""

    def create_pull(self, *, head: str, base: str, title: str, body: str, draft: bool) -> Pull:
        """Open a pull request from a branch of this repository, or ``owner:branch`` of a fork."""
        sent = {"head": head, "base": base, "title": title, "body": body, "draft": draft}
        return answers.pull(self._write("POST", f"{self._at}/pulls", sent))

    def edit_pull(
        self,
        number: int,
        *,
        title: str | None = None,
        body: str | None = None,
        base: str | None = None,
        state: str | None = None,
    ) -> Pull:
        """Change what a pull request says, where it goes, or whether it is open."""
        given = {"title": title, "body": body, "base": base, "state": state}
        sent = {name: value for name, value in given.items() if value is not None}
        return answers.pull(self._write("PATCH", f"{self._at}/pulls/{number}", sent))

    def create_comment(self, number: int, body: str) -> Comment:
        """Say something on an issue or a pull request."""
        path = f"{self._at}/issues/{number}/comments"
        return answers.comment(self._write("POST", path, {"body": body}))

    def edit_comment(self, comment_id: int, body: str) -> Comment:
        """Say it in other words."""
        path = f"{self._at}/issues/comments/{comment_id}"
        return answers.comment(self._write("PATCH", path, {"body": body}))

    def delete_comment(self, comment_id: int) -> None:
        """Take it back."""
        self._send("DELETE", f"{self._at}/issues/comments/{comment_id}")

    def add_labels(self, number: int, names: Sequence[str]) -> tuple[str, ...]:
        """Add labels to an issue or pull request, and give all that it has then."""
        path = f"{self._at}/issues/{number}/labels"
        answer = self._send("POST", path, {"labels": list(names)})
        return tuple(part.text("name") for part in listed(answer.text, path))

    def remove_label(self, number: int, name: str) -> None:
        """Take a label off."""
        self._send("DELETE", f"{self._at}/issues/{number}/labels/{segment(name)}")

    def create_check(
        self,
        sha: str,
        *,
        name: str,
        status: str,
        conclusion: str | None = None,
        title: str,
        summary: str,
        external_id: str = "",
        url: str = "",
    ) -> Check:
        """Report a check on a commit; only an App's token may."""
        sent = {"name": name, "head_sha": sha, **_told(status, conclusion, title, summary)}
        sent |= {"external_id": external_id} if external_id else {}
        sent |= {"details_url": url} if url else {}
        return answers.check(self._write("POST", f"{self._at}/check-runs", sent))

    def update_check(
        self,
        check_id: int,
        *,
        status: str,
        conclusion: str | None = None,
        title: str,
        summary: str,
        url: str = "",
    ) -> Check:
        """Report how a check goes on."""
        sent = _told(status, conclusion, title, summary)
        sent |= {"details_url": url} if url else {}
        return answers.check(self._write("PATCH", f"{self._at}/check-runs/{check_id}", sent))

    def request_reviews(
        self, number: int, *, people: Sequence[str] = (), teams: Sequence[str] = ()
    ) -> None:
        """Ask people and teams to look at a pull request."""
        sent = {"reviewers": list(people), "team_reviewers": list(teams)}
        self._send("POST", f"{self._at}/pulls/{number}/requested_reviewers", sent)

    def merge(
        self, number: int, *, sha: str, how: How = "merge", title: str = "", message: str = ""
    ) -> str:
        """Merge a pull request whose head is exactly this commit, and give the merged commit."""
        sent = {"sha": sha, "merge_method": how}
        sent |= {"commit_title": title} if title else {}
        sent |= {"commit_message": message} if message else {}
        return self._write("PUT", f"{self._at}/pulls/{number}/merge", sent).text("sha")

    def enable_auto_merge(self, pull: Pull, *, how: How, sha: str) -> None:
        """Let the forge merge this commit as soon as its rules allow."""
        given = {"id": pull.node, "how": how.upper(), "sha": sha}
        self._query(queries.AUTO_MERGE, given, writes=True)

    def enqueue(self, pull: Pull, *, sha: str) -> None:
        """Put this commit into the merge queue of its base branch."""
        self._query(queries.ENQUEUE, {"id": pull.node, "sha": sha}, writes=True)

    def ready(self, pull: Pull) -> None:
        """Let a draft be a draft no longer."""
        self._query(queries.READY, {"id": pull.node}, writes=True)

    def resolve(self, thread_id: str) -> None:
        """Call the talk about a line settled."""
        self._query(queries.RESOLVE, {"id": thread_id}, writes=True)

    def answer(self, thread_id: str, body: str) -> None:
        """Say something in the talk about a line."""
        self._query(queries.ANSWER, {"id": thread_id, "body": body}, writes=True)

    def create_ref(self, ref: str, sha: str) -> None:
        """Make a ref such as ``refs/heads/x``; `Refused` when it exists."""
        self._send("POST", f"{self._at}/git/refs", {"ref": ref, "sha": sha})

    def delete_ref(self, ref: str) -> None:
        """Remove a ref such as ``refs/heads/x``."""
        self._send("DELETE", f"{self._at}/git/{path_of(ref)}")

    def dispatch(self, workflow: str, *, ref: str, inputs: Mapping[str, str] | None = None) -> None:
        """Start a workflow by the name of its file."""
        path = f"{self._at}/actions/workflows/{segment(workflow)}/dispatches"
        self._send("POST", path, {"ref": ref, "inputs": dict(inputs or {})})

    def dispatched(self, workflow: str, sha: str) -> bool:
        """Say whether a workflow was started by a call on this commit."""
        asked = {"event": "workflow_dispatch", "head_sha": sha}
        runs = self._list(f"{self._at}/actions/runs", asked, key="workflow_runs")
        # A run's path bears a ref behind an @ where the file is another repository's.
        files = (run.words("path").partition("@")[0] for run in runs)
        return any(file.rpartition("/")[2] == workflow for file in files)


def _told(status: str, conclusion: str | None, title: str, summary: str) -> dict[str, Any]:
    told: dict[str, Any] = {"status": status, "output": {"title": title, "summary": summary}}
    return told if conclusion is None else {**told, "conclusion": conclusion}
