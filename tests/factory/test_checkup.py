"""The check-up behind `factory doctor`: each thing tried, each fault with its fix."""

from pathlib import Path

import pytest

from factory import checkup, trust
from factory.checkup import Finding
from factory.site import Site
from tests.factory.works import site_at
from tests.run import run

CONFIG = """
[line]
target = "main"
[[station]]
name = "code"
agent = { runtime = "command", run = ["sh", "agent.sh"] }
[[station]]
name = "tests"
kind = "test"
run = ["true"]
"""


def by_name(site: Site) -> dict[str, Finding]:
    """Give the findings by name."""
    return {each.name: each for each in checkup.look(site)}


def test_a_sound_place_has_no_fault_that_stops(checkout: Path) -> None:
    """Everything is looked at, and the document says that the line can run."""
    found = by_name(site_at(checkout, config=CONFIG))

    assert {"git", "repository", "target", "sandbox", "disk", "station code", "trust"} <= set(found)
    assert all(each.ok or not each.stops for each in found.values())
    document = checkup.document(tuple(found.values()))
    assert (document["schema"], document["ok"]) == ("factory.doctor/1", True)
    assert found["station code"].detail.endswith("/sh")


def test_trust_is_looked_up_by_content(checkout: Path) -> None:
    """Before the yes and after a change it says how to give it."""
    site = site_at(checkout, config=CONFIG)
    before = by_name(site)["trust"]
    trust.remember(site.environment.state_dir, site.place, site.settings.trust_hash)

    assert (before.ok, "factory trust" in before.detail) == (False, True)
    assert by_name(site)["trust"].ok
    changed = site_at(checkout, config=CONFIG.replace('["true"]', '["sh", "x"]'))
    assert not by_name(changed)["trust"].ok


@pytest.mark.parametrize("required", [True, False])
def test_a_program_that_is_missing_is_named(checkout: Path, *, required: bool) -> None:
    """It stops the line, unless only a test that is not required wants it."""
    config = CONFIG.replace('["true"]', f'["nope"]\nrequired = {str(required).lower()}')

    found = by_name(site_at(checkout, config=config))["station tests"]

    assert (found.ok, found.stops) == (False, required)
    assert "nope: not found" in found.detail


def test_a_dirty_target_and_an_empty_repository_stop_the_line(
    checkout: Path, tmp_path: Path
) -> None:
    """Each is told with what to do."""
    site = site_at(checkout, config=CONFIG)
    (checkout / "README.md").write_text("mine\n")
    empty = tmp_path / "empty"
    run(["git", "init", "-q", str(empty)])

    dirty = by_name(site)["target"]
    bare = by_name(site_at(empty))["target"]

    assert (dirty.ok, dirty.stops, "commit or stash" in dirty.detail) == (False, True, True)
    assert (bare.stops, "make a first one" in bare.detail or "first commit" in bare.detail) == (
        True,
        True,
    )


def test_a_sandbox_that_cannot_be_had_stops_the_line(checkout: Path) -> None:
    """The finding says which one and why."""
    config = CONFIG.replace('target = "main"', 'target = "main"\nsandbox = "docker"')

    found = by_name(site_at(checkout, config=config))["sandbox"]

    assert (found.ok, found.stops, "docker" in found.detail) == (False, True, True)


def test_agents_are_found_by_name_and_never_started(checkout: Path, tmp_path: Path) -> None:
    """A known agent on the PATH is told with its place; its secrets are not asked for."""
    claude = tmp_path / "bin/claude"
    claude.parent.mkdir()
    claude.write_text(f"#!/bin/sh\ntouch {tmp_path}/started\n")
    claude.chmod(0o755)

    found = by_name(site_at(checkout, PATH=f"{claude.parent}:/usr/bin:/bin"))

    assert found["agent claude"].detail == str(claude)
    assert not (tmp_path / "started").exists()


def test_docker_is_proved_where_an_engine_listens(checkout: Path, docker_engine: str) -> None:
    """It is tried by breaking out of it, chosen or not; one that was named and is gone is told."""
    configured = f'{CONFIG}[sandbox.docker]\nengine = "{docker_engine}"\n'

    beside = by_name(site_at(checkout, config=configured))
    gone = by_name(site_at(checkout, config=configured.replace(docker_engine, "unix:///none")))

    assert beside["sandbox"].detail.startswith("bubblewrap holds")
    assert beside["sandbox docker"].ok
    assert beside["sandbox docker"].detail.startswith("docker holds")
    assert (gone["sandbox docker"].ok, gone["sandbox docker"].stops) == (False, False)
    assert "unix:///none" in gone["sandbox docker"].detail


def test_a_line_in_docker_stops_without_an_engine(checkout: Path) -> None:
    """The finding names the address and how an engine is started."""
    configured = CONFIG.replace("[line]", '[line]\nsandbox = "docker"')
    configured += '[sandbox.docker]\nengine = "unix:///none"\n'

    found = by_name(site_at(checkout, config=configured))["sandbox"]

    assert (found.ok, found.stops) == (False, True)
    assert "unix:///none" in found.detail
    assert "systemctl start docker" in found.detail
