"""Somebody who acts at the hub's own keyboard: what people do while the factory works."""

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from tests.forge.bare import NOTHING
from tests.forge.life import Life
from tests.forge.merging import merge
from tests.forge.moving import announce_fork, keep_head, moved
from tests.forge.shapes import stamp
from tests.forge.world import Issue, Pull, Remark, Repo


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """Acts as ``login``; nothing is asked about what they may do."""

    login: str
    life: Life
    lock: threading.RLock
    done: Callable[[], None]

    @contextmanager
    def _at(self, full: str) -> Iterator[Repo]:
        with self.lock:
            self.life.user(self.login)
            repo = self.life.repo(full)
            if repo is None:
                msg = f"the hub has no repository {full}"
                raise LookupError(msg)
            yield repo
            self.done()

    def open(self, full: str, title: str, body: str | None = None, *labels: str) -> int:
        """Open an issue and give its number."""
        with self._at(full) as repo:
            issue = self.life.open_issue(repo, self.login, title, body)
            self.life.relabel(repo, issue, self.login, labels)
            return issue.number

    def open_pull(
        self,
        full: str,
        head: str,
        title: str = "A change",
        *,
        base: str = "main",
        body: str | None = None,
        source: str | None = None,
        draft: bool = False,
    ) -> int:
        """Open a pull request for a branch that is there, and give its number."""
        with self._at(full) as repo:
            other = repo if source is None else self.life.repos[source.lower()]
            tip, onto = other.bare.branch(head), repo.bare.branch(base)
            assert tip is not None
            assert onto is not None
            pull = Pull(
                head_repo=other.full,
                head_ref=head,
                base_ref=base,
                head=tip,
                base=onto,
                draft=draft,
                maintainer_can_modify=other is not repo,
            )
            issue = self.life.open_issue(repo, self.login, title, body, pull=pull)
            keep_head(repo, issue, other)
            announce_fork(self.life, repo, issue, self.login)
            return issue.number

    def edit(
        self, full: str, number: int, *, title: str | None = None, body: str | None = None
    ) -> None:
        """Change the title or the text."""
        with self._at(full) as repo:
            self.life.edit(repo, repo.issues[number], self.login, title=title, body=body)

    def close(self, full: str, number: int) -> None:
        """Close an issue or a pull request."""
        with self._at(full) as repo:
            self.life.close(repo.issues[number], self.login, "completed")

    def reopen(self, full: str, number: int) -> None:
        """Open it again."""
        with self._at(full) as repo:
            self.life.reopen(repo.issues[number], self.login)

    def lock_talk(self, full: str, number: int) -> None:
        """Let only those comment who may write."""
        with self._at(full) as repo:
            issue = repo.issues[number]
            issue.locked = True
            self.life.happen(issue, "locked", self.login, lock_reason=None)

    def connect(self, full: str, number: int, source: int) -> None:
        """Link a pull request to an issue by hand."""
        with self._at(full) as repo:
            self.life.happen(
                repo.issues[number], "connected", self.login, source=repo.issues[source]
            )

    def duplicate(self, full: str, number: int, canonical: int) -> None:
        """Mark an item as a duplicate of another one."""
        with self._at(full) as repo:
            issue, other = repo.issues[number], repo.issues[canonical]
            self.life.happen(issue, "marked_as_duplicate", self.login, canonical=other)

    def remove(self, full: str, number: int) -> None:
        """Delete an issue, or transfer it elsewhere: nothing here tells of it any more."""
        with self._at(full) as repo:
            del repo.issues[number]

    def comment(self, full: str, number: int, body: str) -> int:
        """Say something and give the comment's id."""
        with self._at(full) as repo:
            return self.life.comment(repo, repo.issues[number], self.login, body).id

    def edit_comment(self, full: str, comment: int, body: str) -> None:
        """Change what was said."""
        with self._at(full) as repo:
            self.life.edit_comment(repo, repo.comments[comment], self.login, body)

    def label(self, full: str, number: int, *names: str) -> None:
        """Add labels."""
        with self._at(full) as repo:
            issue = repo.issues[number]
            self.life.relabel(repo, issue, self.login, [*issue.labels, *names])

    def unlabel(self, full: str, number: int, *names: str) -> None:
        """Take labels off."""
        with self._at(full) as repo:
            issue = repo.issues[number]
            kept = [name for name in issue.labels if name not in names]
            self.life.relabel(repo, issue, self.login, kept)

    def review(self, full: str, number: int, state: str = "APPROVED", body: str = "") -> int:
        """Review a pull request: APPROVED, CHANGES_REQUESTED or COMMENTED."""
        with self._at(full) as repo:
            issue, pull = _pull(repo, number)
            return self.life.review(issue, pull, self.login, state, body).id

    def remark(self, full: str, number: int, path: str, line: int | None, body: str) -> int:
        """Say something on a line, and give the id by which it is answered or resolved."""
        with self._at(full) as repo:
            issue, pull = _pull(repo, number)
            return self.life.remark(issue, pull, self.login, body, path=path, line=line).id

    def answer(self, full: str, number: int, remark: int, body: str) -> int:
        """Answer what was said on a line."""
        with self._at(full) as repo:
            issue, pull = _pull(repo, number)
            said = _remark(pull, remark)
            return self.life.remark(issue, pull, self.login, body, answers=said).id

    def resolve(self, full: str, number: int, remark: int) -> None:
        """Call a thread resolved."""
        with self._at(full) as repo:
            issue, pull = _pull(repo, number)
            pull.resolved[_remark(pull, remark).thread] = self.login
            self.life.touch(issue)

    def merge(self, full: str, number: int, how: str = "merge") -> str:
        """Merge a pull request and give the commit; refused where the rules refuse it."""
        with self._at(full) as repo:
            return merge(self.life, repo, repo.issues[number], self.login, how)

    def commit(
        self, full: str, branch: str, files: Mapping[str, str | None], message: str = "change"
    ) -> str:
        """Put a commit on a branch, which is made from the default one when it is missing."""
        with self._at(full) as repo:
            before = repo.bare.branch(branch)
            tip = before or repo.bare.branch(repo.default)
            assert tip is not None
            at = stamp(self.life.clock.now()) or ""
            user = self.life.user(self.login)
            new = {path: None if text is None else text.encode() for path, text in files.items()}
            tree = repo.bare.with_files(tip, new)
            tip = repo.bare.write(tree, [tip], message, author=(user.login, user.email), at=at)
            ref = f"refs/heads/{branch}"
            repo.bare.move(ref, tip)
            moved(self.life, repo, ref, before or NOTHING, tip, self.login)
            return tip

    def reset(self, full: str, branch: str, commit: str) -> None:
        """Put a branch somewhere else, whatever it held."""
        with self._at(full) as repo:
            ref = f"refs/heads/{branch}"
            before = repo.bare.branch(branch) or NOTHING
            repo.bare.move(ref, commit)
            moved(self.life, repo, ref, before, commit, self.login)

    def delete_branch(self, full: str, branch: str) -> None:
        """Delete a branch."""
        with self._at(full) as repo:
            ref = f"refs/heads/{branch}"
            before = repo.bare.branch(branch)
            assert before is not None
            repo.bare.move(ref, NOTHING)
            moved(self.life, repo, ref, before, NOTHING, self.login)

    def check(
        self, full: str, commit: str, name: str, conclusion: str | None, log: str = ""
    ) -> int:
        """Post a workflow's check run on a commit; no conclusion yet leaves it at work."""
        with self._at(full) as repo:
            app = self.life.app("github-actions")
            flow = self.life.start_workflow(repo, "ci", commit, "main", "push", self.login)
            run = self.life.start_run(repo, app, name, commit, workflow=flow.id)
            run.status, run.log = "in_progress", log
            if conclusion is not None:
                self.life.finish_run(run, conclusion)
            return run.id

    def finish(self, full: str, check: int, conclusion: str, log: str = "") -> None:
        """End a check run that is at work."""
        with self._at(full) as repo:
            run = repo.runs[check]
            run.log = log or run.log
            self.life.finish_run(run, conclusion)

    def status(self, full: str, commit: str, context: str, state: str) -> None:
        """Set a commit status: success, failure, error or pending."""
        with self._at(full) as repo:
            body = {"state": state, "context": context}
            self.life.set_status(repo, self.login, commit, body)


def _pull(repo: Repo, number: int) -> tuple[Issue, Pull]:
    issue = repo.issues[number]
    if issue.pull is None:
        msg = f"{repo.full}#{number} is not a pull request"
        raise LookupError(msg)
    return issue, issue.pull


def _remark(pull: Pull, number: int) -> Remark:
    return next(remark for remark in pull.remarks if remark.id == number)
