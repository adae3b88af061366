"""The pace of a real run, from other terminals: shown, suggested, applied, undone."""

import pytest

from tests.system.sites import AGENT, Plan, make_toy, report, states, until

WAITS = f"""{AGENT} > jobs/$FACTORY_JOB/x.txt
if [ "$FACTORY_JOB$FACTORY_ATTEMPT" = "$3" ]; then
    while ! test -e "$2/go"; do sleep 0.05; done
fi
"""
HANGS = WAITS.replace('"$3"', "j91").replace("done\n", "done\n    sleep 1000\n")


def test_what_a_person_applies_is_done_at_once_and_can_be_undone(tmp_path):
    """A run at work gets what `balance suggest` offers by name, and is put back as it was."""
    pace = '[pace]\nmode = "off"\nmax_seats = 6\n'
    agent = WAITS.replace('"$3"', "d1")
    toy = make_toy(tmp_path / "toy", Plan(jobs=tuple("abcd"), agent=agent, tables=pace))
    with toy.start() as run:
        landed = until_landed(toy, 3)
        offered = report(toy.factory("balance", "suggest", "--json"))
        name = next(row["name"] for row in offered["options"] if row["apply"] is not None)
        done = report(toy.factory("balance", "apply", name, "--json"))
        until(lambda: toy.events("decided"), seconds=50, what="it is decided")
        back = report(toy.factory("balance", "undo", "1", "--json"))
        until(lambda: toy.events("undone"), seconds=50, what="it is undone")
        toy.open_gate()
        ran = run.wait(timeout=50)

    assert landed >= 3
    assert offered["sentence"].split()[0] in {"code", "tests", "gate", "no"}
    assert (done["active"], done["what"], back["what"]) == (True, name, "1")
    (decided,) = toy.events("decided")
    assert (decided["applied"], decided["by"], decided["chosen"]["name"]) == (
        True,
        "a person",
        name,
    )
    assert set(states(report(ran)).values()) == {"landed"}
    assert "" not in {event["line"] for event in toy.events("advanced")}
    (row,) = report(toy.factory("balance", "--json"))["decisions"]
    assert row["undone"] == "by a person: asked for"
    late = toy.factory("balance", "apply", "seats-4")
    assert late.code == 2
    assert b"is over" in late.err


def until_landed(toy, many: int) -> int:
    """Wait until so many jobs are in the target, and give how many are."""

    def landed() -> int:
        return sum(len(event["jobs"]) for event in toy.events("advanced"))

    until(lambda: landed() >= many, seconds=50, what=f"{many} have landed")
    return landed()


@pytest.mark.soak
def test_a_hung_attempt_is_suggested_replaced_and_its_work_kept(tmp_path):
    """Among ten alike one hangs: it is named, ended when a person says so, and its job lands."""
    pace = '[pace]\nmode = "suggest"\nmax_seats = 6\nwanted = "1/d"\n'
    jobs = tuple(f"j{n}" for n in range(10))
    toy = make_toy(tmp_path / "toy", Plan(jobs=jobs, agent=HANGS, tables=pace))
    with toy.start() as run:
        until(lambda: toy.events("decided"), seconds=300, what="the loop names who hangs")
        (said,) = toy.events("decided")
        shown = report(toy.factory("balance", "--json"))
        toy.factory("balance", "apply", "replace-j9", "--json")
        ran = run.wait(timeout=50)

    assert (said["applied"], said["chosen"]["name"]) == (False, "replace-j9")
    assert shown["alive"] is True
    assert "replace-j9" in {row["name"] for row in shown["options"]}
    document = report(ran)
    assert set(states(document).values()) == {"landed"}
    assert {job["id"]: job["attempts"] for job in document["jobs"]}["j9"] == 2
    kept = toy.git("for-each-ref", "--format=%(refname)", "refs/factory/salvage").text
    assert "/j9" in kept
