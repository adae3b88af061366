"""A review station between author and gate, seen from outside: a program that reads the change."""

from tests.system.user import CODE, TESTS, User, job, states, station

SERIOUS = '{"findings": [{"path": "a/x", "line": 1, "severity": "serious", "text": "say two"}]}'
READER = f"""
say() {{ printf '{{"status": "done", "summary": "read", "data": %s}}' "$1" > "$FACTORY_REPORT"; }}
echo reading
echo spoilt > a/spoilt.txt
case $FACTORY_JOB in
better) if grep -q two a/better.txt; then say '{{"findings": []}}'; else say '{SERIOUS}'; fi ;;
stubborn) say '{SERIOUS}' ;;
*) exit 3 ;;
esac
"""
BETTER = "if test -e a/better.txt; then echo two >> a/better.txt; else echo one > a/better.txt; fi"


def test_a_review_sends_work_back_once_and_decides_nothing(user: User) -> None:
    """What it asks for is done, what is not done lands all the same, and a broken one is noted."""
    user.commit({"review.sh": READER})
    reader = {"runtime": "command", "run": ["sh", "review.sh"]}
    user.configure(
        CODE,
        TESTS,
        station("second-look", kind="review", agent=reader),
        job("better", BETTER, scope=["a/better.txt"]),
        job("stubborn", "echo one >> b/stubborn.txt", scope=["b/**"]),
        job("unread", "echo one > c/unread.txt", scope=["c/**"]),
    )

    rows = user.run()

    assert states(rows) == dict.fromkeys(("better", "stubborn", "unread"), "landed")
    assert {name: row["attempts"] for name, row in rows.items()} == {
        "better": 4,
        "stubborn": 4,
        "unread": 2,
    }
    assert user.at("main", "a/better.txt") == "one\ntwo"
    assert user.at("main", "b/stubborn.txt") == "one\none"
    assert "a/spoilt.txt" not in user.files()
    told = {name: user.fac("why", name).text for name in rows}
    assert "asked for more, 1 remark" in told["better"]
    assert "a/x:1: say two" in told["better"]
    assert "found good" in told["better"]
    assert "sent back once already" in told["stubborn"]
    assert "not reviewed: exit 3" in told["unread"]
    report = user.fac("report").text
    assert "review: not reviewed: exit 3" in report
    assert "review: sent back once already" in report
    assert "found good" not in report
    assert user.fac("logs", "better").text.startswith("second-look | ")
