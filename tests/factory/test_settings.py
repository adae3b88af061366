"""Settings: what the tables mean, which source wins, hashes, and jobs from elsewhere."""

import json
import pickle
from decimal import Decimal
from pathlib import Path

import pytest
from pydantic_core import PydanticUndefined

from factory import settings
from factory.config.sources import leaves
from factory.config.tables import ConfigFile
from factory.settings import ConfigErrors
from stations.contract import Agent, Budget, Kind
from tests.factory.loading import LINE, Load, every_table
from worktrees.scope import Scope


@pytest.fixture
def load(tmp_path: Path) -> Load:
    """Give a function that loads settings from texts."""
    return Load(tmp_path)


# --- meaning ------------------------------------------------------------------------------------


def test_the_contract_s_own_example_is_accepted(load: Load) -> None:
    """The example that users are shown loads as it stands, and means what it says."""
    (load.home / ".nvm").mkdir()
    found = load((Path(__file__).parent / "golden/contract.toml").read_text())

    api, imports, codegen, tests, repair, senior = found.rules.stations
    assert [spec.kind for spec in found.rules.stations] == [
        Kind.CODE,
        Kind.COMMAND,
        Kind.COMMAND,
        Kind.TEST,
        Kind.CLEANUP,
        Kind.CODE,
    ]
    assert api.agent == Agent(runtime="sdk", model="medium")
    assert (api.seats, api.timeout, api.commands) == (4, 1200.0, (("pytest", "-q"),))
    assert api.on == {"failed": "senior", "escalated": "inbox"}
    assert imports.run[:2] == ("ruff", "check")
    assert codegen.at_merge
    assert tests.when == ("src/**", "tests/**")
    assert tests.scope == Scope()
    assert (found.rules.repair, repair.rounds) == ("repair", 2)
    assert senior.scope.write == ("**",)
    assert [(job.id, job.route, job.needs) for job in found.jobs] == [
        ("sort-imports", "imports", ()),
        ("reject-empty-names-in-the-users-endpoint", "api", ("sort-imports",)),
    ]
    assert found.jobs[0].scope == imports.scope
    assert (found.target, found.deliver, found.rules.seats, found.rules.slots) == (
        "main",
        "merge",
        8,
        2,
    )
    assert found.budget == Budget(dollars=Decimal(20), tokens=5_000_000, seconds=3600.0)
    assert found.rules.budget == found.budget
    assert found.env.tools == (str(load.home / ".nvm"),)
    assert found.env.setup == ("make", "deps")
    assert found.warnings == (
        "every required test station has a `when`: changes outside land untested",
    )
    assert [note.partition(" have ")[0] for note in found.notes] == [
        'stations "api" and "imports"',
        'stations "api" and "senior"',
        'stations "imports" and "senior"',
    ]


def test_without_any_file_the_line_codes_and_tests(load: Load) -> None:
    """Zero configuration: one coding station over everything, and the test command found."""
    (load.checkout / "pytest.ini").touch()

    found = load(flags={"agent": "command:sh agent.sh"})

    code, tests = found.rules.stations
    assert (code.name, code.kind, code.scope.write) == ("code", Kind.CODE, ("**",))
    assert code.agent == Agent(runtime="command", run=("sh", "agent.sh"))
    assert (tests.name, tests.kind, tests.required) == ("tests", Kind.TEST, True)
    assert tests.run == ("python", "-m", "pytest", "-q")
    assert (found.target, found.deliver, found.trust_hash) == (None, "branch", "")
    assert found.warnings == ()


def test_without_a_test_command_a_warning_says_so(load: Load) -> None:
    """What lands untested is never silent."""
    found = load()

    assert [spec.name for spec in found.rules.stations] == ["code"]
    assert found.rules.stations[0].agent == Agent(runtime="sdk", model="medium")
    assert found.warnings[0] == "no test command was found"
    assert found.warnings[1].startswith("nothing tests what lands")


def test_a_file_without_a_test_station_gets_none_but_a_warning(load: Load) -> None:
    """A detected test command is not slipped into a line that a person wrote."""
    (load.checkout / "pytest.ini").touch()

    found = load('[[station]]\nname = "a"\nrun = ["b"]\n')

    assert [spec.name for spec in found.rules.stations] == ["a"]
    assert found.warnings[0].startswith("nothing tests what lands")


def test_an_agent_flag_beside_configured_stations_is_a_mistake(load: Load) -> None:
    """A flag that would change nothing is refused."""
    with pytest.raises(ConfigErrors, match="agent: the configured stations name their own agents"):
        load(LINE, flags={"agent": "sdk:small"})


def test_what_is_never_reached_is_warned_of(load: Load) -> None:
    """A test that no change can touch and a scope without files are told, not refused."""
    text = LINE + (
        '[[station]]\nname = "web"\nkind = "test"\nrun = ["a"]\nwhen = ["web/**"]\n'
        '[[station]]\nname = "docs"\nrun = ["a"]\nscope = ["docs/**"]\n'
    )

    found = load(text, tracked=("src/api/a.py", "web/x.js"))

    assert found.warnings == (
        'the scope of station "docs" matches no tracked file',
        'test station "web" is never reached: no station writes its `when`',
    )
    assert found.notes == (
        (
            'stations "api" and "imports" have overlapping scopes: '
            "their jobs run one after the other where they meet"
        ),
    )


def test_a_job_never_gets_what_its_station_leaves_out(load: Load) -> None:
    """A job's effective scope keeps the negations of its station."""
    found = load(f'{LINE}[[job]]\ntitle = "a"\nstation = "api"\nscope = ["src/api/**"]\n')

    scope = found.jobs[0].scope
    assert scope.allows("src/api/x.py")
    assert not scope.allows("src/api/made/x.py")


def test_the_station_of_a_job_is_found_from_its_scope(load: Load) -> None:
    """Coding comes before commands; the only coding station takes what says nothing."""
    found = load(
        f'{LINE}[[job]]\ntitle = "a"\nscope = ["src/api/a.py"]\n'
        '[[job]]\ntitle = "b"\nscope = ["src/b.py"]\n[[job]]\ntitle = "c"\n'
    )

    assert [job.route for job in found.jobs] == ["api", "imports", "api"]


def test_jobs_without_an_id_get_one_of_their_own(load: Load) -> None:
    """Equal titles get different ids, and the same ones every time."""
    jobs = '[[job]]\ntitle = "Ünï: fix it!"\nstation = "api"\n' * 3

    first, again = load(LINE + jobs).jobs, load(LINE + jobs).jobs

    assert len({job.id for job in first}) == 3
    assert first[0].id == "n-fix-it"
    assert first == again


# --- precedence ---------------------------------------------------------------------------------


def test_a_flags_word_is_a_variable_too(load: Load) -> None:
    """`FACTORY_SEATS` says what `--seats` says, below the flag and above the files."""
    text = "[line]\nseats = 3\n"

    assert load(text, FACTORY_SEATS="4").rules.seats == 4
    assert load(text, flags={"seats": 5}, FACTORY_SEATS="4").rules.seats == 5


def test_the_stronger_source_wins_key_by_key(load: Load) -> None:
    """Flag > variable > factory.toml > pyproject > user file > default, and origins say which."""
    user = load.user
    keys = ["seats = {0}", "[gate]\nslots = {0}", "[limits]\nfiles = {0}\nmegabytes = {0}"]
    user.write_text("\n".join(["[line]", *keys, '[commit]\nauthor = "me"\n']).format(1))
    (load.checkout / "pyproject.toml").write_text(
        "[tool.factory.line]\nseats = 2\n[tool.factory.gate]\nslots = 2\n"
        "[tool.factory.limits]\nfiles = 2\nmegabytes = 2\n"
    )

    found = load(
        "[line]\nseats = 3\nbudget = { usd = 3, tokens = 3 }\n"
        "[gate]\nslots = 3\n[limits]\nfiles = 3\n",
        flags={"seats": 5, "onto": None},
        FACTORY_LINE_SEATS="4",
        FACTORY_GATE_SLOTS="4",
        FACTORY_LINE_BUDGET_USD="0.50",
        FACTORY_LINE_TARGET="2026",
        FACTORY_ENV_SHARE='[".venv"]',
    )

    assert (found.rules.seats, found.rules.slots) == (5, 4)
    assert (found.limits.files, found.limits.megabytes) == (3, 2)
    assert (found.commit.author, found.commit.shape) == ("me", "merge")
    assert found.budget == Budget(dollars=Decimal("0.50"), tokens=3)
    assert (found.target, found.env.share) == ("2026", (".venv",))
    assert {
        key: found.origins[key]
        for key in ("line.seats", "gate.slots", "limits.files", "limits.megabytes", "commit.author")
    } == {
        "line.seats": "flag --seats",
        "gate.slots": "FACTORY_GATE_SLOTS",
        "limits.files": "factory.toml:7",
        "limits.megabytes": "pyproject.toml:7",
        "commit.author": f"{user}:9",
    }
    assert found.origins["commit.shape"] == "default"


def test_foreign_variables_are_left_alone(load: Load) -> None:
    """FACTORY_* names that begin no table of ours belong to somebody else."""
    assert load(FACTORY_JOB="x", FACTORY_BOY="y", FACTORY_VERSION="7").rules.seats == 8


def test_no_source_can_ask_for_no_sandbox(load: Load) -> None:
    """Neither file nor variable nor flag may name the sandbox none."""
    assert "line.sandbox" in load.mistake('[line]\nsandbox = "none"\n')
    (load.checkout / "factory.toml").unlink()
    for flags, environ in (({"sandbox": "none"}, {}), ({}, {"FACTORY_LINE_SANDBOX": "none"})):
        with pytest.raises(ConfigErrors, match=r"line\.sandbox"):
            load(flags=flags, **environ)


def test_every_key_has_one_default_and_no_unknown_key_passes() -> None:
    """Only names and runtimes must be given; each other key has a default that is accepted."""
    required = set()
    for model in every_table(ConfigFile):
        assert model.model_config.get("extra") == "forbid"
        assert model.model_config.get("validate_default") is True
        assert model.model_config.get("frozen") is True
        for name, info in model.model_fields.items():
            if info.default is PydanticUndefined and info.default_factory is None:
                required.add(f"{model.__name__}.{name}")

    assert required == {"StationTable.name", "AgentTable.runtime", "ModelTable.id", "AppTable.id"}
    assert ConfigFile() == ConfigFile.model_validate({})


def test_every_plain_key_has_an_origin_and_a_variable(load: Load) -> None:
    """What the model holds is what `config show --origin` and FACTORY_* know."""
    found = load()

    assert {".".join(map(str, path)) for path in leaves(ConfigFile)} <= set(found.origins)
    assert all(origin == "default" for origin in found.origins.values())


# --- hashes, trust and plain data ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "moves"),
    [
        ('[limits]\nfiles = 5\n', True),
        ('[line]\nprotect = ["a"]\n', True),
        ('[commit]\nshape = "linear"\n', True),
        ('[env]\nshare = [".venv"]\n', True),
        ('[[station]]\nname = "more"\nrun = ["a"]\n', True),
        ('[line]\nseats = 2\n', False),
        ('[commit]\nauthor = "me"\n', False),
        ('[[job]]\nstation = "imports"\n', False),
    ],
)  # fmt: skip
def test_the_line_s_hash_moves_with_what_decides_what_lands(
    load: Load, change: str, *, moves: bool
) -> None:
    """Only what can change a verdict or a change's acceptance changes the hash."""
    before, after = load(LINE).rules.hash, load(f"{change}{LINE}").rules.hash

    assert (before != after) is moves


@pytest.mark.parametrize(
    ("change", "moves"),
    [
        ('[env]\nsetup = ["make"]\n', True),
        ('[env]\ntools = ["/opt/x"]\n', True),
        ('[forge]\napi_url = "https://x/"\n', True),
        ('[[station]]\nname = "far"\nwhere = "forge"\nchecks = ["ci"]\n', True),
        ('[provider.a]\nkey_env = "K"\n', True),
        ('[network]\nallow = ["packages.example"]\n', True),
        ('[[job]]\nstation = "imports"\naccept = [["make"]]\n', True),
        ('[line]\nseats = 2\n', False),
        ('[limits]\nfiles = 3\n', False),
    ],
)  # fmt: skip
def test_the_trust_hash_covers_what_the_repository_brings(
    load: Load, change: str, *, moves: bool
) -> None:
    """Every command, and all that could carry a secret away, needs a new yes on change."""
    before, after = load(LINE).trust_hash, load(f"{change}{LINE}").trust_hash

    assert before
    assert (before != after) is moves


def test_the_user_s_own_commands_need_no_trust(load: Load) -> None:
    """Trust is about what a repository says; user file, variables and flags are the user's."""
    user = load.user
    user.write_text(LINE)

    found = load("[line]\nseats = 2\n", FACTORY_ENV_SETUP='["make"]')

    assert found.env.setup == ("make",)
    assert (found.trusts, found.trust_hash) == ((), "")


def test_trusts_tell_what_is_asked_for(load: Load) -> None:
    """`factory trust` can show each thing with its place in the file."""
    found = load(LINE)

    assert [(named.where, named.what) for named in found.trusts] == [
        ('station "api".agent', '{"runtime": "command", "run": ["sh", "agent.sh"], "model": ""}'),
        ('station "imports".run', '["ruff", "check", "--fix", "src"]'),
        ('station "tests".run', '["pytest", "-q"]'),
    ]


def test_settings_are_plain_data_that_travels(load: Load) -> None:
    """Settings can be pickled for a seat elsewhere, and shown as JSON."""
    found = load(f'{LINE}[line]\nbudget = {{ usd = 1.5 }}\n[[job]]\nstation = "imports"\n')

    assert pickle.loads(pickle.dumps(found)) == found  # noqa: S301 - our own bytes
    shown = json.loads(json.dumps(settings.show(found)))
    assert shown["schema"] == "factory.config/1"
    assert shown["budget"]["dollars"] == "1.5"
    assert shown["stations"][0]["name"] == "api"
    assert shown["origins"]["line.budget.usd"] == "factory.toml:17"
    assert found.places == {
        "station api": "factory.toml:2",
        "station imports": "factory.toml:7",
        "station tests": "factory.toml:12",
        "job imports": "factory.toml:18",
    }


# --- jobs from elsewhere ------------------------------------------------------------------------


def test_a_jobs_file_has_the_same_tables_and_the_same_mistakes(load: Load, tmp_path: Path) -> None:
    """Jobs of a file may need standing ones; each mistake is told with the file's own name."""
    found = load(f'{LINE}[[job]]\nid = "first"\nstation = "imports"\n')
    file = tmp_path / "jobs.toml"
    file.write_text('[[job]]\ntitle = "Second"\nstation = "api"\nneeds = ["first"]\n')

    (job,) = settings.jobs_file(file, found)

    assert (job.id, job.route, job.needs, job.source) == ("second", "api", ("first",), str(file))
    file.write_text('[line]\n[[job]]\nid = "first"\nstation = "imporst"\n[[job]]\nscope = 3\n')
    with pytest.raises(ConfigErrors) as caught:
        settings.jobs_file(file, found)
    assert [str(error).split("\n")[0] for error in caught.value.errors] == [
        f"{file}:1:1: error: line: unknown key; known: job, version",
        (
            f'{file}:3:6: error: job "first".id: '
            'the id "first" is taken by a job that exists already; ids are unique'
        ),
        (
            f'{file}:4:11: error: job "first".station: there is no station "imporst"; '
            'did you mean "imports"?'
        ),
        f"{file}:6:9: error: job 2.scope: must be a list, not a number",
    ]


def test_a_jobs_file_that_is_not_there_or_holds_none_is_a_mistake(
    load: Load, tmp_path: Path
) -> None:
    """Naming a file that gives no work is never a silent nothing."""
    found = load(LINE)
    (tmp_path / "empty.toml").touch()

    with pytest.raises(ConfigErrors, match="does not exist"):
        settings.jobs_file(tmp_path / "missing.toml", found)
    with pytest.raises(ConfigErrors, match=r"holds no \[\[job\]\]"):
        settings.jobs_file(tmp_path / "empty.toml", found)


def test_a_text_is_a_job(load: Load) -> None:
    """The first line is the title, the whole text the brief, the id comes from the title."""
    found = load(LINE)
    title = "Reject empty names in the users endpoint of the whole public interface"
    text = f"{title}, version two\n\nSay so."

    job = settings.job_from_text(text, found, taken_ids=())
    again = settings.job_from_text(text, found, taken_ids=(job.id,))

    assert job.title == f"{title}…"
    assert len(job.title) <= 72
    assert (job.brief, job.route, job.scope) == (text, "api", found.rules.stations[0].scope)
    assert job.id == "reject-empty-names-in-the-users-endpoint-of-the"
    assert again.id.startswith(f"{job.id}-")
    assert again.id != job.id


@pytest.mark.parametrize("text", ["", " \n\t", "\x1b\x00"])
def test_a_text_that_says_nothing_is_no_job(load: Load, text: str) -> None:
    """An empty text is refused with what to do."""
    with pytest.raises(ConfigErrors, match="says nothing; say what shall change"):
        settings.job_from_text(text, load(LINE), taken_ids=())


@pytest.mark.parametrize("text", ["日本語", "../../etc", "-rf", "x" * 5000, "a\x1b[31mb"])
def test_any_text_makes_a_good_id_and_a_plain_title(load: Load, text: str) -> None:
    """Whatever a text holds, its id is one and its title moves no cursor."""
    job = settings.job_from_text(text, load(LINE), taken_ids=())

    assert job.title.isprintable()
    assert job.id.strip("-") == job.id != ""
    assert len(job.id) <= 64


# --- environment --------------------------------------------------------------------------------


def test_the_environment_is_given_as_values() -> None:
    """Failpoint, directories and terminal facts are read once, here."""
    found = settings.environment(
        {
            "HOME": "/home/me",
            "PATH": "/bin",
            "FACTORY_FAILPOINT": "land.before_swap:kill",
            "NO_COLOR": "1",
            "CI": "true",
            "COLUMNS": "80",
            "XDG_STATE_HOME": "/state",
            "XDG_CONFIG_HOME": "relative",
        }
    )

    assert (found.home, found.path) == (Path("/home/me"), "/bin")
    assert found.failpoint == "land.before_swap:kill"
    assert (found.ci, found.animate, found.color, found.columns) == (True, False, False, 80)
    assert found.state_dir == Path("/state/coding-agent-factory")
    assert found.config_dir == Path("/home/me/.config/coding-agent-factory")


@pytest.mark.parametrize(
    ("environ", "color", "animate"),
    [
        ({}, None, True),
        ({"TERM": "dumb"}, False, False),
        ({"NO_COLOR": ""}, None, True),
        ({"FORCE_COLOR": "1", "NO_COLOR": "1"}, True, True),
        ({"CI": "false"}, None, True),
    ],
)
def test_terminal_variables_mean_what_they_mean_elsewhere(
    environ: dict[str, str], *, color: bool | None, animate: bool
) -> None:
    """NO_COLOR, FORCE_COLOR, TERM=dumb and CI follow their conventions."""
    found = settings.environment({"HOME": "/", **environ})

    assert (found.color, found.animate) == (color, animate)


def test_a_secret_never_shows_itself() -> None:
    """A secret's text forms are stars; only its value is the secret."""
    found = settings.secret("KEY", {"KEY": "sk-1"})

    assert found is not None
    assert (repr(found), str(found), f"{found}", found.value) == ("***", "***", "***", "sk-1")
    assert settings.secret("KEY", {"KEY": ""}) is None


# --- models and their providers -----------------------------------------------------------------


def test_budgets_stand_beside_what_they_bound(load: Load) -> None:
    """A run's, a day's, a station's and a job's budget each reach their place."""
    found = load(
        "[line]\nbudget = { usd = 5 }\nday = { usd = 20, tokens = '9M', minutes = 90 }\n"
        '[[station]]\nname = "a"\nagent = "sdk:small"\nbatch = 3\nbudget = { tokens = "200k" }\n'
        '[[job]]\ntitle = "Do it"\nbudget = { usd = 1, attempts = 2 }\n'
    )

    (spec,) = found.rules.stations
    assert found.rules.budget == Budget(dollars=Decimal(5))
    assert found.day == Budget(dollars=Decimal(20), tokens=9_000_000, seconds=5400.0)
    assert (spec.batch, spec.budget) == (3, Budget(tokens=200_000))
    assert found.jobs[0].budget == Budget(dollars=Decimal(1), attempts=2)


def test_minutes_that_are_none_are_shown_as_they_were_written(load: Load) -> None:
    """A mistake names the number of the file, not what it would be in seconds."""
    assert "line.day.minutes: -1 is not a duration" in load.mistake(
        "[line]\nday = { minutes = -1 }\n"
    )


def test_what_a_run_may_cost_does_not_decide_what_lands(load: Load) -> None:
    """A budget can be raised and the run resumed: the line's hash stays."""
    one = '[[station]]\nname = "a"\nagent = "sdk:small"\n'
    hashes = {
        load(f"{line}{one}{more}").rules.hash
        for line in ("", "[line]\nbudget = { usd = 5 }\nday = { usd = 9 }\n")
        for more in ("", "batch = 4\n", "budget = { usd = 2 }\n")
    }

    assert len(hashes) == 1


def test_tiers_are_names_or_models_with_a_price(load: Load) -> None:
    """A text is an id; a table adds what its tokens cost, which needs trust."""
    found = load(
        f'{LINE}[models]\nsmall = "x-1"\n'
        'own = { id = "y-2", input = 0, output = "0.50" }\nbare = { id = "z" }\n'
    )

    assert found.models == {"small": "x-1", "own": "y-2", "bare": "z"}
    assert found.prices.keys() == {"y-2"}
    assert found.prices["y-2"].most(1_000_000, 2_000_000) == Decimal(1)
    assert {"models.own.input", "models.own.output"} <= {each.where for each in found.trusts}
    assert found.origins["models.small.id"].startswith("factory.toml:")
    assert load.mistake(f'{LINE}[models]\nown = {{ id = "y", input = 1 }}\n').startswith(
        "models.own: has half a price"
    )


def test_a_provider_s_key_is_read_and_never_shown(load: Load) -> None:
    """The known providers have their address and variable; a table names others."""
    around = {"ANTHROPIC_API_KEY": "sesame-1", "TEAM_KEY": "sesame-2"}
    plain = load()
    own = load(
        f'{LINE}[provider.anthropic]\nbase_url = "https://models.example/v"\nkey_env = "TEAM_KEY"\n'
        'ca = "/etc/team.pem"\n[network]\nproxy = "http://proxy.example:3128"\n'
    )

    public = settings.provider(plain, "anthropic", around)
    team = settings.provider(own, "anthropic", around)

    assert public is not None
    assert team is not None
    assert (public.key, public.proxy, public.synthetic) == ("sesame-1", None, False)
    assert (team.base_url, team.key) == ("https://models.example/v", "sesame-2")
    assert (team.proxy, team.ca) == ("http://proxy.example:3128", Path("/etc/team.pem"))
    assert settings.provider(plain, "nobody", around) is None
    assert settings.key_variable(own, "openai") == "OPENAI_API_KEY"
    assert "sesame" not in repr((public, team, own)) + json.dumps(settings.show(own))
    wheres = {each.where for each in own.trusts}
    assert {f"provider.anthropic.{key}" for key in ("base_url", "key_env", "ca")} <= wheres


def test_a_server_on_this_machine_may_want_no_key(load: Load) -> None:
    """Without a variable of its own it gets a placeholder; with one the key is wanted."""
    local = '[provider.anthropic]\nbase_url = "http://127.0.0.1:9"\n'

    free = settings.provider(load(f"{LINE}{local}"), "anthropic", {})
    named = settings.provider(load(f'{LINE}{local}key_env = "K"\n'), "anthropic", {})

    assert free is not None
    assert named is not None
    assert (free.key, free.synthetic, named.key) == (settings.NO_KEY, True, "")


@pytest.mark.parametrize(
    ("environ", "proxy"),
    [
        ({"HTTPS_PROXY": "http://u:p@proxy:1"}, "http://u:p@proxy:1"),
        ({"https_proxy": "http://proxy:2", "NO_PROXY": "other.example"}, "http://proxy:2"),
        ({"HTTPS_PROXY": "http://proxy:1", "NO_PROXY": "x, .models.example"}, None),
        ({"HTTPS_PROXY": "http://proxy:1", "no_proxy": "*"}, None),
        ({}, None),
    ],
)
def test_the_environment_s_proxy_counts_where_none_is_written(
    load: Load, environ: dict[str, str], proxy: str | None
) -> None:
    """It is read as other programs read it, and its password never shows."""
    found = settings.provider(
        load(f'{LINE}[provider.anthropic]\nbase_url = "https://api.models.example"\n'),
        "anthropic",
        environ,
    )

    assert found is not None
    assert found.proxy == proxy
    assert "u:p" not in repr(found)


def test_a_model_that_nobody_knows_is_told_before_it_is_asked(load: Load) -> None:
    """A near miss of a tier is named; tiers, listed models and those with a price are quiet."""

    def warned(agent: str) -> list[str]:
        found = load(
            f'[[station]]\nname = "code"\nagent = "{agent}"\n'
            '[models]\nown = { id = "mine-1", input = 1, output = 2 }\n'
        )
        return [each for each in found.warnings if "known price" in each]

    (near,) = warned("sdk:mediun")
    (far,) = warned("sdk:gpt-99")

    assert 'did you mean "medium"' in near
    assert "tiers: small, medium, large, own" in far
    for known in ("sdk", "sdk:large", "sdk:own", "sdk:mine-1", "sdk:claude-opus-5-5"):
        assert warned(known) == []


def test_the_program_of_a_protocol_agent_may_stand_behind_its_name(load: Load) -> None:
    """`acp:PROGRAM` is its program, as with `command`; without one it is a mistake."""
    found = load(flags={"agent": "acp:claude-agent-acp --quiet"}).rules.stations[0].agent

    assert found is not None
    assert (found.runtime, found.run) == ("acp", ("claude-agent-acp", "--quiet"))
    with pytest.raises(ConfigErrors, match="acp needs its program"):
        load(flags={"agent": "acp"})
