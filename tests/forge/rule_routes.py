"""The rules of branches, in their older form (protection) and in the newer one (rulesets)."""

from typing import Any, Final

from tests.forge.ask import Answer, Ask, Listing, Reply, Route
from tests.forge.refusal import RefusedError
from tests.forge.shapes import Json
from tests.forge.world import Rules

_REPO: Final = "/repos/{owner}/{repo}"


def _rules(ask: Ask) -> Answer:
    repo = ask.repo
    told = [
        {
            **rule,
            "ruleset_id": 1,
            "ruleset_source": repo.full,
            "ruleset_source_type": "Repository",
        }
        for rules in repo.rules_of(ask.params["branch"])
        if not rules.classic
        for rule in _as_rules(rules)
    ]
    return Listing(items=told, show=lambda rule: rule)


def _as_rules(rules: Rules) -> list[Json]:
    found: list[Json] = []
    if not rules.deletions:
        found.append({"type": "deletion"})
    if not rules.forced:
        found.append({"type": "non_fast_forward"})
    if rules.linear:
        found.append({"type": "required_linear_history"})
    if rules.signatures:
        found.append({"type": "required_signatures"})
    if rules.pushers is not None:
        found.append({"type": "update"})
    if rules.pull_only or rules.reviews or rules.code_owners:
        asked: Json = {
            "required_approving_review_count": rules.reviews,
            "require_code_owner_review": rules.code_owners,
            "dismiss_stale_reviews_on_push": False,
            "require_last_push_approval": False,
            "required_review_thread_resolution": False,
        }
        found.append({"type": "pull_request", "parameters": asked})
    if rules.checks:
        checks = [{"context": name} for name in rules.checks]
        asked = {
            "required_status_checks": checks,
            "strict_required_status_checks_policy": rules.strict,
        }
        found.append({"type": "required_status_checks", "parameters": asked})
    if rules.queue:
        asked = {
            "check_response_timeout_minutes": 60,
            "grouping_strategy": "ALLGREEN",
            "max_entries_to_build": 5,
            "max_entries_to_merge": 5,
            "merge_method": "MERGE",
            "min_entries_to_merge": 1,
            "min_entries_to_merge_wait_minutes": 5,
        }
        found.append({"type": "merge_queue", "parameters": asked})
    if rules.paths:
        asked = {"restricted_file_paths": list(rules.paths)}
        found.append({"type": "file_path_restriction", "parameters": asked})
    return found


def _protection(ask: Ask) -> Answer:
    repo, branch = ask.repo, ask.params["branch"]
    if repo.bare.branch(branch) is None:
        raise RefusedError(404, "Branch not found")
    classic = [rules for rules in repo.rules_of(branch) if rules.classic]
    if not classic:
        raise RefusedError(404, "Branch not protected")
    at = f"{ask.shapes.api}/repos/{repo.full}/branches/{branch}/protection"
    return Reply(value=_as_protection(classic[0], at))


def _as_protection(rules: Rules, at: str) -> Json:
    value: dict[str, Any] = {
        "url": at,
        "enforce_admins": {"url": f"{at}/enforce_admins", "enabled": False},
        "required_signatures": {
            "url": f"{at}/required_signatures",
            "enabled": rules.signatures,
        },
        "required_linear_history": {"enabled": rules.linear},
        "allow_force_pushes": {"enabled": rules.forced},
        "allow_deletions": {"enabled": rules.deletions},
        "required_conversation_resolution": {"enabled": False},
    }
    if rules.checks:
        value["required_status_checks"] = {
            "url": f"{at}/required_status_checks",
            "strict": rules.strict,
            "contexts": list(rules.checks),
            "contexts_url": f"{at}/required_status_checks/contexts",
            "checks": [{"context": name, "app_id": None} for name in rules.checks],
        }
    if rules.reviews or rules.code_owners or rules.pull_only:
        value["required_pull_request_reviews"] = {
            "url": f"{at}/required_pull_request_reviews",
            "dismiss_stale_reviews": False,
            "require_code_owner_reviews": rules.code_owners,
            "required_approving_review_count": rules.reviews,
            "require_last_push_approval": False,
        }
    return value


def _owners(ask: Ask) -> Answer:
    repo = ask.repo
    tip = repo.bare.branch(repo.default)
    assert tip is not None
    path = ".github/CODEOWNERS"
    held = repo.bare.file(tip, path)
    if held is None:
        path, held = "CODEOWNERS", repo.bare.file(tip, "CODEOWNERS")
    if held is None:
        raise RefusedError(404, "Not Found")
    wrong = []
    for number, line in enumerate(held[1].decode(errors="replace").splitlines(), 1):
        for word in line.partition("#")[0].split()[1:]:
            login = word.removeprefix("@")
            if login in ask.life.users and repo.may(login, "write"):
                continue
            wrong.append(
                {
                    "line": number,
                    "column": line.index(word) + 1,
                    "source": line,
                    "kind": "Unknown owner",
                    "suggestion": f"make sure {word} exists and has write access",
                    "message": f"Unknown owner on line {number}: {word}",
                    "path": path,
                }
            )
    return Reply(value={"errors": wrong})


_PROTECTION: Final = f"{_REPO}/branches/{{branch}}/protection"

ROUTES: Final = (
    Route("GET", f"{_REPO}/rules/branches/{{branch}}", _rules),
    Route("GET", _PROTECTION, _protection, "administration:read", "admin"),
    Route("GET", f"{_REPO}/codeowners/errors", _owners, "contents:read"),
)
