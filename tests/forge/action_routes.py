"""Workflows: their runs, their jobs with logs, and starting one by a call."""

from typing import Final

from tests.forge.ask import Answer, Ask, Listing, Reply, Route
from tests.forge.refusal import RefusedError
from tests.forge.world import Dispatch, Run, Workflow, latest

LOGS: Final = "/-/logs/"
_REPO: Final = "/repos/{owner}/{repo}"
_FLOW: Final = f"{_REPO}/actions/runs/{{run_id}}"
_JOB: Final = f"{_REPO}/actions/jobs/{{job_id}}"
_DISPATCH: Final = f"{_REPO}/actions/workflows/{{workflow_id}}/dispatches"
_READ, _WRITE = "actions:read", "actions:write"


def _flows(ask: Ask) -> Answer:
    repo, query = ask.repo, ask.query
    chosen = [
        flow
        for flow in reversed(repo.workflows.values())
        if query.get("head_sha", flow.sha) == flow.sha
        and query.get("branch", flow.branch) == flow.branch
        and query.get("event", flow.event) == flow.event
        and query.get("actor", flow.actor) == flow.actor
        and ("status" not in query or query["status"] in _states(ask, flow))
    ]
    return Listing(
        items=chosen,
        show=lambda flow: ask.shapes.workflow(repo, flow, ask.login),
        key="workflow_runs",
    )


def _states(ask: Ask, flow: Workflow) -> set[str | None]:
    shown = ask.shapes.workflow(ask.repo, flow, ask.login)
    return {shown["status"], shown["conclusion"]}


def _flow_of(ask: Ask) -> Workflow:
    flow = ask.repo.workflows.get(int(ask.params["run_id"]))
    if flow is None:
        raise RefusedError(404, "Not Found")
    return flow


def _flow(ask: Ask) -> Answer:
    return Reply(value=ask.shapes.workflow(ask.repo, _flow_of(ask), ask.login))


def _jobs(ask: Ask) -> Answer:
    repo, number = ask.repo, _flow_of(ask).id
    jobs = [run for run in repo.runs.values() if run.workflow == number]
    if ask.query.get("filter", "latest") == "latest":
        jobs = latest(jobs)
    return Listing(items=jobs, show=lambda job: ask.shapes.job(repo, job), key="jobs")


def _job_of(ask: Ask) -> Run:
    job = ask.repo.runs.get(int(ask.params["job_id"]))
    if job is None or job.workflow is None:
        raise RefusedError(404, "Not Found")
    return job


def _job(ask: Ask) -> Answer:
    return Reply(value=ask.shapes.job(ask.repo, _job_of(ask)))


def _log(ask: Ask) -> Answer:
    job = _job_of(ask)
    if ask.token is None:
        raise RefusedError(403, "Must have admin rights to Repository.")
    if job.log is None:
        raise RefusedError(404, "Not Found")
    return Reply(status=302, headers={"location": f"{ask.shapes.root}{LOGS}{job.id}"})


def _rerun_job(ask: Ask) -> Answer:
    job = _job_of(ask)
    if job.status != "completed":
        raise RefusedError(403, "The workflow run containing this job is already running")
    ask.life.rerun(ask.repo, ask.repo.workflows[job.workflow or 0], [job.name])
    return Reply(status=201, value={})


def _rerun_failed(ask: Ask) -> Answer:
    flow = _flow_of(ask)
    last = latest(run for run in ask.repo.runs.values() if run.workflow == flow.id)
    if any(job.status != "completed" for job in last):
        raise RefusedError(403, "This workflow is already running")
    green = {"success", "neutral", "skipped"}
    ask.life.rerun(ask.repo, flow, [job.name for job in last if job.conclusion not in green])
    return Reply(status=201, value={})


def _dispatch(ask: Ask) -> Answer:
    repo, body = ask.repo, ask.body
    name = ask.params["workflow_id"]
    if repo.bare.commitish(body["ref"]) is None:
        raise RefusedError(422, f"No ref found for: {body['ref']}")
    tip = repo.bare.branch(repo.default)
    assert tip is not None
    held = repo.bare.file(tip, f".github/workflows/{name}")
    if held is None:
        raise RefusedError(404, "Not Found")
    if b"workflow_dispatch" not in held[1]:
        raise RefusedError(422, "Workflow does not have 'workflow_dispatch' trigger")
    made = Dispatch(
        workflow=name, ref=body["ref"], inputs=dict(body.get("inputs", {})), login=ask.login
    )
    repo.dispatches.append(made)
    ask.life.dispatched(repo, made)
    return Reply(status=204)


ROUTES: Final = (
    Route("GET", f"{_REPO}/actions/runs", _flows, _READ),
    Route("GET", _FLOW, _flow, _READ),
    Route("GET", f"{_FLOW}/jobs", _jobs, _READ),
    Route("POST", f"{_FLOW}/rerun-failed-jobs", _rerun_failed, _WRITE, "write"),
    Route("POST", f"{_JOB}/rerun", _rerun_job, _WRITE, "write"),
    Route("GET", _JOB, _job, _READ),
    Route("GET", f"{_JOB}/logs", _log, _READ),
    Route("POST", _DISPATCH, _dispatch, _WRITE, "write"),
)
