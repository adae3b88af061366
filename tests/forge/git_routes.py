"""Commits, comparisons, branches, refs and files: what the real bare repository holds."""

import base64
import binascii
from typing import Any, Final
from urllib.parse import quote

from tests.forge.ask import Answer, Ask, Listing, Reply, Route
from tests.forge.bare import NOTHING
from tests.forge.moving import moved
from tests.forge.refusal import RefusedError
from tests.forge.shapes import Json, stamp
from tests.forge.world import Repo

_REPO: Final = "/repos/{owner}/{repo}"
_CONTENTS: Final = f"{_REPO}/contents/{{path}}"
_READ, _WRITE = "contents:read", "contents:write"


def named(ask: Ask, name: str) -> str:
    """Give the commit that a part of an address names."""
    found = ask.repo.bare.commitish(name)
    if found is None:
        raise RefusedError(422, f"No commit found for SHA: {name}")
    return found


def change_ref(ask: Ask, ref: str, new: str, old: str) -> None:
    """Move a ref as a call does; the rules of its branch hold here too."""
    repo, branch = ask.repo, ref.removeprefix("refs/heads/")
    for rules in repo.rules_of(branch):
        forced = NOTHING not in {old, new} and not repo.bare.contains(new, old)
        if (rules.pull_only or rules.checks) and old != NOTHING:
            raise RefusedError(422, "Changes must be made through a pull request.")
        if forced and not rules.forced:
            raise RefusedError(422, "Cannot force-push to this branch")
        if new == NOTHING and not rules.deletions:
            raise RefusedError(422, "Cannot delete this branch")
    if not repo.bare.move(ref, new, old):
        raise RefusedError(422, "Reference cannot be updated")
    moved(ask.life, repo, ref, old, new, ask.login)


def _commits(ask: Ask) -> Answer:
    repo = ask.repo
    start = named(ask, ask.query.get("sha", repo.default))
    commits = repo.bare.commits([start, "--max-count=1000"], walk=True)
    return Listing(items=commits, show=lambda commit: ask.shapes.commit(repo, commit))


def _commit(ask: Ask) -> Answer:
    repo = ask.repo
    sha = named(ask, ask.params["ref"])
    if "vnd.github.sha" in ask.accept:
        return Reply(text=sha.encode())
    commit = repo.bare.commit(sha)
    parent = commit.parents[0] if commit.parents else None
    changes = repo.bare.changes(parent, sha)
    plus, minus = sum(c.additions for c in changes), sum(c.deletions for c in changes)
    value = {
        **ask.shapes.commit(repo, commit, signed=repo.bare.signed(sha)),
        "stats": {"additions": plus, "deletions": minus, "total": plus + minus},
        "files": [ask.shapes.file(repo, change, sha) for change in changes],
    }
    return Reply(value=value)


def _compare(ask: Ask) -> Answer:
    repo = ask.repo
    left, dots, right = ask.params["basehead"].partition("...")
    ends = (repo.bare.commitish(left), repo.bare.commitish(right.rpartition(":")[2]))
    base, head = ends
    if not dots or base is None or head is None:
        raise RefusedError(404, "Not Found")
    start = repo.bare.merge_base(base, head)
    if start is None:
        raise RefusedError(404, f"No common ancestor between {left} and {right}.")
    ahead, behind = repo.bare.count(f"{base}..{head}"), repo.bare.count(f"{head}..{base}")
    words = {(False, False): "identical", (True, False): "ahead", (False, True): "behind"}
    web = f"{ask.shapes.root}/{repo.full}/compare/{base}...{head}"
    commits = list(reversed(repo.bare.commits([f"{base}..{head}"], walk=True)))
    value = {
        "url": f"{ask.shapes.api}/repos/{repo.full}/compare/{base}...{head}",
        "html_url": web,
        "permalink_url": web,
        "diff_url": f"{web}.diff",
        "patch_url": f"{web}.patch",
        "base_commit": ask.shapes.commit(repo, repo.bare.commit(base)),
        "merge_base_commit": ask.shapes.commit(repo, repo.bare.commit(start)),
        "status": words.get((ahead > 0, behind > 0), "diverged"),
        "ahead_by": ahead,
        "behind_by": behind,
        "total_commits": ahead,
        "commits": [ask.shapes.commit(repo, commit) for commit in commits],
        "files": [ask.shapes.file(repo, c, head) for c in repo.bare.changes(start, head)],
    }
    return Reply(value=value)


def _branch_value(ask: Ask, repo: Repo, name: str, sha: str) -> Json:
    rules = repo.rules_of(name)
    checks = [check for rule in rules if rule.classic for check in rule.checks]
    at = f"{ask.shapes.api}/repos/{repo.full}"
    return {
        "name": name,
        "protected": bool(rules),
        "protection": {
            "enabled": any(rule.classic for rule in rules),
            "required_status_checks": {
                "enforcement_level": "non_admins" if checks else "off",
                "contexts": checks,
                "checks": [{"context": check, "app_id": None} for check in checks],
            },
        },
        "protection_url": f"{at}/branches/{name}/protection",
        "commit": {"sha": sha, "url": f"{at}/commits/{sha}"},
    }


def _branches(ask: Ask) -> Answer:
    repo = ask.repo
    heads = repo.bare.refs("refs/heads")
    chosen = [(name.removeprefix("refs/heads/"), sha) for name, sha in heads.items()]
    if (only := ask.query.get("protected")) is not None:
        chosen = [pair for pair in chosen if bool(repo.rules_of(pair[0])) is (only == "true")]
    return Listing(items=chosen, show=lambda pair: _branch_value(ask, repo, *pair))


def _branch(ask: Ask) -> Answer:
    repo, name = ask.repo, ask.params["branch"]
    sha = repo.bare.branch(name)
    if sha is None:
        raise RefusedError(404, "Branch not found")
    at = f"{ask.shapes.api}/repos/{repo.full}/branches/{name}"
    value = {
        **_branch_value(ask, repo, name, sha),
        "commit": ask.shapes.commit(repo, repo.bare.commit(sha)),
        "_links": {"self": at, "html": f"{ask.shapes.root}/{repo.full}/tree/{name}"},
    }
    return Reply(value=value)


def _ref(ask: Ask) -> Answer:
    repo, name = ask.repo, f"refs/{ask.params['ref']}"
    sha = repo.bare.ref(name)
    if sha is None:
        raise RefusedError(404, "Not Found")
    return Reply(value=ask.shapes.ref(repo, name, sha))


def _matching(ask: Ask) -> Answer:
    repo, start = ask.repo, f"refs/{ask.params['ref']}"
    refs = [pair for pair in repo.bare.refs().items() if pair[0].startswith(start)]
    return Listing(items=refs, show=lambda pair: ask.shapes.ref(repo, *pair))


def _create_ref(ask: Ask) -> Answer:
    repo, name, sha = ask.repo, ask.body["ref"], ask.body["sha"]
    if not name.startswith("refs/") or name.count("/") < 2:
        raise RefusedError(
            422, "Reference name must start with 'refs/' and contain at least two slashes."
        )
    if repo.bare.ref(name) is not None:
        raise RefusedError(422, "Reference already exists")
    if repo.bare.ref(f"{sha}^{{commit}}") is None:
        raise RefusedError(422, "Object does not exist")
    change_ref(ask, name, sha, NOTHING)
    return Reply(status=201, value=ask.shapes.ref(repo, name, sha))


def _update_ref(ask: Ask) -> Answer:
    repo, name, new = ask.repo, f"refs/{ask.params['ref']}", ask.body["sha"]
    old = repo.bare.ref(name)
    if old is None:
        raise RefusedError(422, "Reference does not exist")
    if repo.bare.ref(f"{new}^{{commit}}") is None:
        raise RefusedError(422, "Object does not exist")
    if not ask.body.get("force") and not repo.bare.contains(new, old):
        raise RefusedError(422, "Update is not a fast forward")
    change_ref(ask, name, new, old)
    return Reply(value=ask.shapes.ref(repo, name, new))


def _delete_ref(ask: Ask) -> Answer:
    name = f"refs/{ask.params['ref']}"
    old = ask.repo.bare.ref(name)
    if old is None:
        raise RefusedError(422, "Reference does not exist")
    change_ref(ask, name, NOTHING, old)
    return Reply(status=204)


def _git_commit(ask: Ask) -> Answer:
    repo = ask.repo
    shown = ask.shapes.commit(repo, repo.bare.commit(named(ask, ask.params["commit_sha"])))
    inner = shown.pop("commit")
    kept = {key: shown[key] for key in ("sha", "node_id", "html_url", "parents")}
    words = {key: inner[key] for key in ("url", "message", "author", "committer", "tree")}
    return Reply(value={**kept, **words, "verification": inner["verification"]})


def _content(ask: Ask, commit: str, path: str, sha: str, size: int, kind: str) -> Json:
    at = f"{ask.shapes.api}/repos/{ask.repo.full}"
    quoted = quote(path)
    url = f"{at}/contents/{quoted}?ref={commit}"
    page = f"{ask.shapes.root}/{ask.repo.full}/blob/{commit}/{quoted}"
    git = f"{at}/git/blobs/{sha}"
    return {
        "type": "dir" if kind == "tree" else "file",
        "name": path.rpartition("/")[2],
        "path": path,
        "sha": sha,
        "size": size,
        "url": url,
        "git_url": git,
        "html_url": page,
        "download_url": page.replace("/blob/", "/raw/"),
        "_links": {"self": url, "git": git, "html": page},
    }


def _contents(ask: Ask) -> Answer:
    repo, path = ask.repo, ask.params["path"].strip("/")
    commit = repo.bare.commitish(ask.query.get("ref", repo.default))
    if commit is None:
        raise RefusedError(404, f"No commit found for the ref {ask.query.get('ref')}")
    held = repo.bare.file(commit, path) if path else None
    if held is not None:
        sha, content = held
        if "raw" in ask.accept:
            return Reply(text=content)
        value: Any = _content(ask, commit, path, sha, len(content), "blob")
        value |= {"encoding": "base64", "content": base64.encodebytes(content).decode()}
        return Reply(value=value)
    listed = repo.bare.listing(commit, path)
    if listed is None:
        raise RefusedError(404, "Not Found")
    value = [_content(ask, commit, full, sha, size, kind) for kind, sha, full, size in listed]
    return Reply(value=value)


def _write_contents(ask: Ask) -> Answer:
    try:
        content = base64.b64decode(ask.body["content"])
    except binascii.Error as error:
        raise RefusedError(422, "content is not valid Base64") from error
    return _commit_file(ask, content)


def _commit_file(ask: Ask, content: bytes | None) -> Answer:
    repo, body, path = ask.repo, ask.body, ask.params["path"]
    branch = body.get("branch", repo.default)
    tip = repo.bare.branch(branch)
    if tip is None:
        raise RefusedError(404, f"Branch {branch} not found")
    held = repo.bare.file(tip, path)
    if held is not None and "sha" not in body:
        raise RefusedError(422, 'Invalid request.\n\n"sha" wasn\'t supplied.')
    if body.get("sha") != (None if held is None else held[0]):
        raise RefusedError(409, f"{path} does not match {body.get('sha')}")
    user = ask.user
    at = stamp(ask.life.clock.now()) or ""
    tree = repo.bare.with_files(tip, {path: content})
    who = (user.name or user.login, user.email)
    commit = repo.bare.write(tree, [tip], body["message"], author=who, at=at)
    change_ref(ask, f"refs/heads/{branch}", commit, tip)
    shown = ask.shapes.commit(repo, repo.bare.commit(commit))
    inner = shown.pop("commit")
    value: Json = {
        "content": None,
        "commit": {
            **inner,
            **{key: shown[key] for key in ("sha", "node_id", "html_url", "parents")},
        },
    }
    if content is not None:
        made = repo.bare.file(commit, path)
        assert made is not None
        value["content"] = _content(ask, commit, path, made[0], len(content), "blob")
    return Reply(status=201 if held is None else 200, value=value)


ROUTES: Final = (
    Route("GET", f"{_REPO}/commits", _commits, _READ),
    Route("GET", f"{_REPO}/commits/{{ref}}", _commit, _READ),
    Route("GET", f"{_REPO}/compare/{{basehead}}", _compare, _READ),
    Route("GET", f"{_REPO}/branches", _branches, _READ),
    Route("GET", f"{_REPO}/branches/{{branch}}", _branch, _READ),
    Route("GET", f"{_REPO}/git/ref/{{ref}}", _ref, _READ),
    Route("GET", f"{_REPO}/git/matching-refs/{{ref}}", _matching, _READ),
    Route("POST", f"{_REPO}/git/refs", _create_ref, _WRITE, "write"),
    Route("PATCH", f"{_REPO}/git/refs/{{ref}}", _update_ref, _WRITE, "write"),
    Route("DELETE", f"{_REPO}/git/refs/{{ref}}", _delete_ref, _WRITE, "write"),
    Route("GET", f"{_REPO}/git/commits/{{commit_sha}}", _git_commit, _READ),
    Route("GET", _CONTENTS, _contents, _READ),
    Route("PUT", _CONTENTS, _write_contents, _WRITE, "write"),
    Route("DELETE", _CONTENTS, lambda ask: _commit_file(ask, None), _WRITE, "write"),
)
