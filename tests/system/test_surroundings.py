"""Where settings come from, what workspaces see beside the tree, and what stays untouched."""

import json
import sys
from pathlib import Path

from tests.run import run
from tests.system.user import CODE, ONE, SH, TESTS, User, job, states, station, table

PYTHON = Path(sys.executable).parent


def origins(user: User, *keys: str, **env: str) -> list[str]:
    """Give the lines of `config show --origin` for these keys."""
    text = user.fac("config", "show", "--origin", env=env).text
    return [line for key in keys for line in text.splitlines() if line.startswith(f"{key} = ")]


def test_every_value_says_where_it_comes_from(user: User) -> None:
    """Flag over FACTORY_* over factory.toml over pyproject over the user's file over default."""
    mine = user.home / ".config/coding-agent-factory/factory.toml"
    mine.parent.mkdir(parents=True)
    mine.write_text("[gate]\nslots = 7\n[limits]\nfiles = 70\nmegabytes = 7\n[line]\nseats = 7\n")
    user.commit({"pyproject.toml": "[tool.factory.limits]\nfiles = 60\n[tool.factory.line]\n"
                 "seats = 6\n"})  # fmt: skip
    user.configure(*(CODE, TESTS), line={"seats": 5, "target": "main"})

    document = user.document(
        "config", "show", schema="factory.config/1", env={"FACTORY_LINE_SEATS": "4"}
    )

    assert document["line"]["seats"] == 4
    assert document["limits"] == {"files": 60, "megabytes": 7}
    found = {key: document["origins"][key] for key in ORIGINS}
    assert found == {key: origin.format(mine=mine) for key, origin in ORIGINS.items()}
    (shown,) = origins(user, "limits.files")
    assert shown == "limits.files = 60  # pyproject.toml:2"


ORIGINS = {
    "line.seats": "FACTORY_LINE_SEATS",
    "line.target": "factory.toml:4",
    "limits.files": "pyproject.toml:2",
    "limits.megabytes": "{mine}:5",
    "gate.slots": "{mine}:2",
    "commit.shape": "default",
}


def test_a_flag_beats_a_variable_beats_the_file(user: User) -> None:
    """The run uses the value of the strongest source."""
    user.configure(CODE, TESTS, job("one", **ONE), line={"target": "file"})

    by_variable = user.document(
        *("run", "--trust"), schema="factory.run/1", env={"FACTORY_LINE_TARGET": "variable"}
    )
    by_flag = user.document(
        *("run", "--trust", "--onto", "flag"),
        schema="factory.run/1",
        env={"FACTORY_LINE_TARGET": "variable"},
    )

    assert (by_variable["target"], by_flag["target"]) == ("variable", "flag")
    assert user.git("branch", "--list", "file") == ""


WRONG = """version = 1
[line]
seets = 3
budget = { usd = -1 }
[[station]]
name = "code"
agent = { runtime = "command", run = "sh agent.sh" }
on = { failed = "seniro" }
[[station]]
name = "senior"
agent = "sdk:medium"
[[job]]
id = "One"
needs = ["two"]
title = "x"
"""


TOLD = """\
factory.toml:8:17: error: station "code".on.failed: there is no station "seniro"; \
did you mean "senior"?
  8 | on = { failed = "seniro" }
    |                 ^
"""


def test_all_mistakes_are_told_at_once_with_place_and_caret(user: User) -> None:
    """Each mistake has file, line, column, the line itself, a caret and a hint; nothing starts."""
    user.commit({"factory.toml": WRONG})

    checked = user.fac("config", "check", code=2).err.decode()
    ran = user.document("run", "--trust", "x", schema="factory.error/1", code=2)

    places = [
        line.split(": error: ")[0].strip() for line in checked.splitlines() if ": error: " in line
    ]
    assert places == [
        f"factory.toml:{place}" for place in ("3:1", "4:18", "7:38", "8:17", "13:6", "14:10")
    ]
    assert TOLD in checked
    for words in ('did you mean "seats"', 'did you mean "senior"', '["sh", "agent.sh"]', "^"):
        assert words in checked
    for place in places:
        assert place in ran["error"]
    assert not (user.checkout / ".git/factory/ledger.sqlite").exists()


def test_a_variable_that_names_no_key_is_a_mistake(user: User) -> None:
    """A mistyped FACTORY_* variable is told, with the nearest one."""
    error = user.document(
        *("config", "check"), schema="factory.error/1", code=2, env={"FACTORY_LINE_SEETS": "3"}
    )

    assert "FACTORY_LINE_SEETS" in error["error"]
    assert "FACTORY_LINE_SEATS" in error["error"]


def test_tests_import_the_tree_under_test_through_a_shared_environment(user: User) -> None:
    """An editable install means the tree under test, whatever checkout and stale copies hold."""
    user.commit(
        {
            "src/shop/__init__.py": "PRICE = 1\n",
            "check.py": "import shop, pathlib\nassert shop.PRICE in {1, 2}, shop.PRICE\n"
            "assert pathlib.Path(shop.__file__).is_relative_to(pathlib.Path.cwd())\n",
            ".gitignore": ".venv\n",
        }
    )
    run([sys.executable, "-m", "venv", "--without-pip", ".venv"], cwd=user.checkout)
    (packages,) = (user.checkout / ".venv/lib").glob("python3*/site-packages")
    (packages / "_shop.pth").write_text(f"{user.checkout}/src\n")
    stale = user.home / "stale/shop"
    stale.mkdir(parents=True)
    (stale / "__init__.py").write_text("PRICE = 3\n")
    user.configure(
        station("code", scope=["src/**"], agent=SH),
        station("tests", kind="test", run=["python", "check.py"]),
        table("[env]", share=[".venv"]),
        job(
            "price",
            "echo PRICE = 2 > src/shop/__init__.py",
            scope=["src/**"],
            accept=[["python", "-c", "import shop; assert shop.PRICE == 2, shop.PRICE"]],
        ),
        line={},
    )
    (user.checkout / "src/shop/__init__.py").write_text("PRICE = 4\n")

    env = {"PYTHONPATH": f"{user.env['PYTHONPATH']}:{stale.parent}"}

    assert states(user.run(env=env)) == {"price": "landed"}
    assert states(user.run("--no-sandbox", env=env)) == {"price": "landed"}


def test_shared_tools_and_scratch_paths_are_where_commands_need_them(user: User) -> None:
    """Shared paths and tools are read-only where they lie, scratch is writable and thrown away."""
    tool = user.home / "tools/bin/greet"
    tool.parent.mkdir(parents=True)
    tool.write_text("#!/bin/sh\necho hello\n")
    tool.chmod(0o755)
    user.commit({".gitignore": "deps\nbuild\n"})
    (user.checkout / "deps").mkdir()
    (user.checkout / "deps/lib").write_text("shared\n")
    script = (
        "~/tools/bin/greet > a/new.txt || $TOOL > a/new.txt; cat deps/lib >> a/new.txt;"
        "! echo x > deps/lib; ! echo x > deps/more;"
        " echo made > build/out; cat build/out >> a/new.txt"
    ).replace("$TOOL", str(tool))
    user.configure(
        CODE,
        TESTS,
        station(
            "clean", kind="test", run=["sh", "-c", "test ! -e build/out && echo x > build/out"]
        ),
        table("[env]", share=["deps"], tools=["~/tools"], scratch=["build"]),
        job("one", script, scope=["a/**"]),
    )

    rows = user.run()

    assert states(rows) == {"one": "landed"}
    assert user.at("main", "a/new.txt") == "hello\nshared\nmade"
    assert (user.checkout / "deps/lib").read_text() == "shared\n"
    assert not (user.checkout / "build").exists()


def test_setup_runs_once_per_content_of_its_key_files(user: User) -> None:
    """What `setup` makes is seen by agents and tests, and made again only when a key changed."""
    make = "mkdir vendor; cat needs.txt > vendor/made; date +%N >> vendor/made"
    user.commit({"needs.txt": "1\n", ".gitignore": "vendor\n"})
    script = "cat vendor/made > a/new.txt"
    head = (
        CODE,
        TESTS,
        station("has", kind="test", run=["grep", "-q", "1", "vendor/made"]),
        table("[env]", setup=["sh", "-c", make], key=["need*.txt"]),
    )
    user.configure(*head, job("one", script, scope=["a/**"]))

    first = user.fac("run", "--trust")
    made = user.at("main", "a/new.txt")
    user.configure(*head, job("two", "cp vendor/made b/new.txt", scope=["b/**"]))
    user.run()

    assert b"setup: sh" in first.err
    assert made.splitlines()[0] == "1"
    assert user.at("main", "b/new.txt") == made
    user.commit({"needs.txt": "12\n"})
    user.configure(*head, job("three", "cp vendor/made c/new.txt", scope=["c/**"]))
    user.run()
    assert user.at("main", "c/new.txt").splitlines()[0] == "12"
    assert not (user.checkout / "vendor").exists()


def test_a_setup_that_fails_stops_the_run_with_its_words(user: User) -> None:
    """Nothing is placed when the environment cannot be made."""
    user.configure(
        CODE, TESTS, table("[env]", setup=["sh", "-c", "echo no wheel; false"]), job("one", **ONE)
    )

    error = user.document("run", "--trust", schema="factory.error/1", code=7)

    assert "no wheel" in error["error"]


def test_nothing_of_the_users_changes_but_the_target(user: User) -> None:
    """Working tree, index, stash, config and hooks stay as they are, and no work is left behind."""
    user.configure(CODE, TESTS, job("one", **ONE), job("bad", "exit 1", scope=["b/**"]), line={})
    (user.checkout / "a/x.txt").write_text("stashed\n")
    user.git("stash")
    (user.checkout / "b/x.txt").write_text("unstaged\n")
    (user.checkout / "c/x.txt").write_text("staged\n")
    user.git("add", "c/x.txt")
    (user.checkout / "notes").write_text("untracked\n")
    before = _seen(user)

    user.run(code=1)

    assert _seen(user) == before
    own = user.git("for-each-ref", "--format=%(refname)", "refs/heads").splitlines()
    assert sum(not ref.startswith("refs/heads/factory/") for ref in own) == 1
    assert user.git("worktree", "list").count("\n") == 0


def _seen(user: User) -> dict[str, bytes]:
    """Give every file of the user's own, in the working tree and in the git directory."""
    git = user.checkout / ".git"
    ours = ("objects", "factory", "refs/heads/factory", "refs/factory", "logs/refs/heads/factory")
    found = {}
    for path in sorted(user.checkout.rglob("*")):
        inside = path.is_relative_to(git) and str(path.relative_to(git)).startswith(ours)
        if path.is_file() and not inside:
            found[str(path)] = path.read_bytes()
    return found


def test_a_run_works_from_below_and_from_a_linked_worktree(user: User) -> None:
    """The repository is found from any directory, and -C names one."""
    user.configure(CODE, TESTS, job("one", **ONE), line={})
    user.git("worktree", "add", "-q", "../linked", "-b", "side")
    linked = user.checkout.parent / "linked"

    below = user.document("plan", schema="factory.plan/1", cwd=user.checkout / "a")
    named = user.document("-C", "a", "plan", schema="factory.plan/1")
    rows = user.run(cwd=linked)

    assert below["jobs"] == named["jobs"]
    assert states(rows) == {"one": "landed"}
    assert json.loads(user.fac("status", "--json").out)["counts"]["landed"] == 1
