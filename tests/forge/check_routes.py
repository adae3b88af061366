"""Check runs, check suites and commit statuses."""

from typing import Any, Final

from tests.forge.ask import Answer, Ask, Listing, Reply, Route, invalid
from tests.forge.git_routes import named
from tests.forge.refusal import RefusedError
from tests.forge.world import App, Run, latest, utc

_REPO: Final = "/repos/{owner}/{repo}"
_RUN: Final = f"{_REPO}/check-runs/{{check_run_id}}"
_SUITE: Final = f"{_REPO}/check-suites/{{check_suite_id}}"
_READ, _WRITE = "checks:read", "checks:write"
_MOST_NOTES: Final = 50


def _app(ask: Ask) -> App:
    if ask.token is None or ask.token.app is None:
        raise RefusedError(403, "You must authenticate via a GitHub App.")
    return ask.token.app


def _create(ask: Ask) -> Answer:
    repo, body, app = ask.repo, ask.body, _app(ask)
    if repo.bare.ref(f"{body['head_sha']}^{{commit}}") is None:
        raise RefusedError(422, f"No commit found for SHA: {body['head_sha']}")
    run = ask.life.start_run(repo, app, body["name"], body["head_sha"])
    run.details = body.get("details_url", run.details)
    _fill(ask, run)
    return Reply(status=201, value=ask.shapes.run(repo, run))


def _fill(ask: Ask, run: Run) -> None:
    body, output = ask.body, ask.body.get("output") or {}
    if len(output.get("annotations", ())) > _MOST_NOTES:
        raise invalid("CheckRun", "annotations")
    run.name = body.get("name", run.name)
    run.external = body.get("external_id", run.external)
    run.details = body.get("details_url", run.details)
    run.status = body.get("status", run.status)
    run.title = output.get("title", run.title)
    run.summary = output.get("summary", run.summary)
    run.text = output.get("text", run.text)
    run.annotations += output.get("annotations", ())
    if "started_at" in body:
        run.started = utc(body["started_at"])
    if body.get("conclusion") is not None:
        ask.life.finish_run(run, body["conclusion"])
    elif run.status == "completed" and run.conclusion is None:
        raise invalid("CheckRun", "conclusion", "missing_field")


def _run_of(ask: Ask) -> Run:
    run = ask.repo.runs.get(int(ask.params["check_run_id"]))
    if run is None:
        raise RefusedError(404, "Not Found")
    return run


def _get(ask: Ask) -> Answer:
    return Reply(value=ask.shapes.run(ask.repo, _run_of(ask)))


def _update(ask: Ask) -> Answer:
    run = _run_of(ask)
    if _app(ask) is not run.app:
        raise RefusedError(403, "Invalid app_id: not the app that created it.")
    _fill(ask, run)
    return Reply(value=ask.shapes.run(ask.repo, run))


def _rerequest(ask: Ask) -> Answer:
    run = _run_of(ask)
    _app(ask)
    if run.status != "completed":
        raise RefusedError(422, "This check run is not rerequestable")
    if run.workflow is not None:
        ask.life.rerun(ask.repo, ask.repo.workflows[run.workflow], [run.name])
    else:
        run.status, run.conclusion, run.completed = "queued", None, None
    return Reply(status=201, value={})


def _annotations(ask: Ask) -> Answer:
    run = _run_of(ask)
    empty = {"title": None, "raw_details": None, "start_column": None, "end_column": None}
    at = f"{ask.shapes.root}/{ask.repo.full}/blob/{run.sha}"

    def show(note: Any) -> Any:
        return {**empty, "blob_href": f"{at}/{note['path']}", **note}

    return Listing(items=list(run.annotations), show=show)


def _chosen(ask: Ask, runs: list[Run]) -> Answer:
    repo, query = ask.repo, ask.query
    if query.get("filter", "latest") == "latest":
        runs = latest(runs)
    runs = [
        run
        for run in runs
        if query.get("check_name", run.name) == run.name
        and query.get("status", run.status) == run.status
        and int(query.get("app_id", run.app.id)) == run.app.id
    ]
    return Listing(items=runs, show=lambda run: ask.shapes.run(repo, run), key="check_runs")


def _of_commit(ask: Ask) -> Answer:
    sha = named(ask, ask.params["ref"])
    return _chosen(ask, [run for run in ask.repo.runs.values() if run.sha == sha])


def _suites(ask: Ask) -> Answer:
    repo, sha = ask.repo, named(ask, ask.params["ref"])
    found = [key for key in repo.suites if key[0] == sha]
    return Listing(items=found, show=lambda key: _suite_value(ask, key), key="check_suites")


def _suite_value(ask: Ask, key: tuple[str, int]) -> Any:
    repo, (sha, app) = ask.repo, key
    return ask.shapes.suite(repo, ask.life.apps[app], sha, repo.suites[key], ask.login)


def _suite_key(ask: Ask) -> tuple[str, int]:
    number = int(ask.params["check_suite_id"])
    for key, suite in ask.repo.suites.items():
        if suite == number:
            return key
    raise RefusedError(404, "Not Found")


def _suite(ask: Ask) -> Answer:
    return Reply(value=_suite_value(ask, _suite_key(ask)))


def _of_suite(ask: Ask) -> Answer:
    number = ask.repo.suites[_suite_key(ask)]
    return _chosen(ask, [run for run in ask.repo.runs.values() if run.suite == number])


def _create_suite(ask: Ask) -> Answer:
    repo, app, sha = ask.repo, _app(ask), ask.body["head_sha"]
    made = (sha, app.id) not in repo.suites
    ask.life.suite(repo, app, named(ask, sha))
    return Reply(status=201 if made else 200, value=_suite_value(ask, (sha, app.id)))


def _create_status(ask: Ask) -> Answer:
    repo, sha = ask.repo, ask.params["sha"]
    if repo.bare.ref(f"{sha}^{{commit}}") is None:
        raise RefusedError(422, f"No commit found for SHA: {sha}")
    status = ask.life.set_status(repo, ask.login, sha, ask.body)
    creator = {"creator": ask.shapes.user(ask.login)}
    return Reply(status=201, value={**ask.shapes.status(repo, status), **creator})


def _statuses(ask: Ask) -> Answer:
    repo, sha = ask.repo, named(ask, ask.params["ref"])
    found = [status for status in reversed(repo.statuses) if status.sha == sha]
    return Listing(
        items=found,
        show=lambda s: {**ask.shapes.status(repo, s), "creator": ask.shapes.user(s.author)},
    )


def _combined(ask: Ask) -> Answer:
    repo, sha = ask.repo, named(ask, ask.params["ref"])
    last = {status.context: status for status in repo.statuses if status.sha == sha}
    states = {status.state for status in last.values()}
    bad = states & {"failure", "error"}
    state = "failure" if bad else "success" if states == {"success"} else "pending"
    at = f"{ask.shapes.api}/repos/{repo.full}/commits/{sha}"
    value = {
        "state": state,
        "sha": sha,
        "total_count": len(last),
        "statuses": [ask.shapes.status(repo, status) for status in last.values()],
        "repository": ask.shapes.repo(repo, ask.login),
        "commit_url": at,
        "url": f"{at}/status",
    }
    return Reply(value=value)


ROUTES: Final = (
    Route("POST", f"{_REPO}/check-runs", _create, _WRITE),
    Route("GET", _RUN, _get, _READ),
    Route("PATCH", _RUN, _update, _WRITE),
    Route("POST", f"{_RUN}/rerequest", _rerequest, _WRITE),
    Route("GET", f"{_RUN}/annotations", _annotations, _READ),
    Route("POST", f"{_REPO}/check-suites", _create_suite, _WRITE),
    Route("GET", _SUITE, _suite, _READ),
    Route("GET", f"{_SUITE}/check-runs", _of_suite, _READ),
    Route("GET", f"{_REPO}/commits/{{ref}}/check-runs", _of_commit, _READ),
    Route("GET", f"{_REPO}/commits/{{ref}}/check-suites", _suites, _READ),
    Route("POST", f"{_REPO}/statuses/{{sha}}", _create_status, "statuses:write", "write"),
    Route("GET", f"{_REPO}/commits/{{ref}}/statuses", _statuses, "statuses:read"),
    Route("GET", f"{_REPO}/commits/{{ref}}/status", _combined, "statuses:read"),
)
