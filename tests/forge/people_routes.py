"""Who somebody is and what they may do: users, permissions, apps, and the repository itself."""

import time
from typing import Any, Final

from tests.forge.ask import Answer, Ask, Reply, Route
from tests.forge.refusal import RefusedError
from tests.forge.shapes import Json, rights
from tests.forge.tokens import new_installation_token
from tests.forge.world import App

_REPO: Final = "/repos/{owner}/{repo}"


def _repository(ask: Ask) -> Answer:
    return Reply(value=ask.shapes.repo(ask.repo, ask.login, "full-repository"))


def _permission(ask: Ask) -> Answer:
    repo, login = ask.repo, ask.params["username"]
    ask.must("write")
    if login not in ask.life.users:
        raise RefusedError(404, f"{login} is not a user")
    role = repo.permission(login)
    user = {**ask.shapes.user(login, "nullable-collaborator"), "permissions": rights(repo, login)}
    # GitHub's older word knows no triage and no maintain: role_name has those.
    old = {"triage": "read", "maintain": "write"}.get(role, role)
    return Reply(value={"permission": old, "role_name": role, "user": {**user, "role_name": role}})


def _me(ask: Ask) -> Answer:
    if ask.token is None:
        raise RefusedError(401, "Requires authentication")
    if ask.token.app is not None:
        raise RefusedError(403, "Resource not accessible by integration")
    return Reply(value=_person(ask, ask.login))


def _user(ask: Ask) -> Answer:
    login = ask.params["username"]
    if login not in ask.life.users:
        raise RefusedError(404, "Not Found")
    return Reply(value=_person(ask, login))


def _person(ask: Ask, login: str) -> Json:
    return ask.shapes.user(login, "public-user")


def _rate_limit(ask: Ask) -> Answer:
    rates = ask.life.meter.overview(ask.token)
    return Reply(value={"resources": rates, "rate": rates["core"]})


def _app(ask: Ask) -> Answer:
    return Reply(value=ask.shapes.app(_asking_app(ask)))


def _asking_app(ask: Ask) -> App:
    if ask.token is None or ask.token.app is None or ask.token.login:
        raise RefusedError(401, "A JSON web token could not be decoded")
    return ask.token.app


def _installation_value(ask: Ask, app: App) -> Json:
    at = f"{ask.shapes.api}/app/installations/{app.installation}"
    return ask.shapes.complete(
        "installation",
        {
            "id": app.installation,
            "app_id": app.id,
            "app_slug": app.slug,
            "account": ask.shapes.user(app.login),
            "access_tokens_url": f"{at}/access_tokens",
            "repositories_url": f"{ask.shapes.api}/installation/repositories",
            "html_url": f"{ask.shapes.root}/settings/installations/{app.installation}",
            "target_type": "User",
            "repository_selection": "all",
            "permissions": dict(app.permissions),
            "events": [],
            "single_file_name": None,
            "suspended_by": None,
            "suspended_at": None,
        },
    )


def _installation(ask: Ask) -> Answer:
    app = _asking_app(ask)
    full = f"{ask.params['owner']}/{ask.params['repo']}"
    if ask.life.repo(full) is None:
        raise RefusedError(404, "Not Found")
    return Reply(value=_installation_value(ask, app))


def _installation_by_id(ask: Ask) -> Answer:
    app = _asking_app(ask)
    if int(ask.params["installation_id"]) != app.installation:
        raise RefusedError(404, "Not Found")
    return Reply(value=_installation_value(ask, app))


def _access_token(ask: Ask) -> Answer:
    app = _asking_app(ask)
    if int(ask.params["installation_id"]) != app.installation:
        raise RefusedError(404, "Not Found")
    body: dict[str, Any] = ask.body or {}
    areas = {**app.permissions, **body.get("permissions", {})}
    if any(area not in app.permissions for area in areas):
        raise RefusedError(422, "The permissions requested are not granted to this installation.")
    only = None
    if "repositories" in body:
        only = frozenset(
            repo.full for repo in ask.life.repos.values() if repo.name in body["repositories"]
        )
    word, expires = new_installation_token(ask.life, app, areas, only)
    value = {
        "token": word,
        "expires_at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(expires)),
        "permissions": areas,
        "repository_selection": "all" if only is None else "selected",
    }
    return Reply(status=201, value=value)


ROUTES: Final = (
    Route("GET", _REPO, _repository),
    Route("GET", f"{_REPO}/collaborators/{{username}}/permission", _permission),
    Route("GET", "/user", _me),
    Route("GET", "/users/{username}", _user),
    Route("GET", "/rate_limit", _rate_limit),
    Route("GET", "/app", _app),
    Route("GET", f"{_REPO}/installation", _installation),
    Route("GET", "/app/installations/{installation_id}", _installation_by_id),
    Route("POST", "/app/installations/{installation_id}/access_tokens", _access_token),
)
