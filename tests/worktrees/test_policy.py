"""The tree policy: every rule with what it must refuse, and honest work that it must not."""

from collections.abc import Mapping
from time import process_time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from worktrees.names import Oid
from worktrees.policy import Entry, Evidence, Judgement, Refusal, Rule, Rules, judge
from worktrees.scope import Scope, widest
from worktrees.texts import AddedLine

ZERO = Oid("0" * 40)


def entry(
    path: str | bytes,
    *,
    status: str = "A",
    mode: str = "100644",
    old_mode: str = "",
    oid: str = "1" * 40,
) -> Entry:
    """Give one raw entry, of an added file when nothing else is said."""
    raw = path.encode() if isinstance(path, str) else path
    before = old_mode or ("000000" if status == "A" else "100644")
    return Entry(
        old_mode=before,
        new_mode="000000" if status == "D" else mode,
        old_oid=ZERO if status == "A" else Oid("2" * 40),
        new_oid=ZERO if status == "D" else Oid(oid),
        status=status,
        path=raw,
    )


def judged(
    *entries: Entry,
    scope: Scope | None = None,
    rules: Rules | None = None,
    evidence: Evidence | None = None,
) -> Judgement:
    """Judge entries, over the widest scope and the usual limits when nothing else is said."""
    return judge(
        entries,
        scope=scope or widest(),
        rules=rules or Rules(),
        evidence=evidence or Evidence(),
    )


def refused(judgement: Judgement) -> set[Rule]:
    """Give the rules that refused."""
    return {one.rule for one in judgement.refusals}


def added(text: str, *, path: bytes = b"src/x.py", number: int = 2) -> Judgement:
    """Judge one added line."""
    line = AddedLine(path=path, number=number, text=text)
    return judged(entry(path), evidence=Evidence(added=(line,)))


def numbered(path: bytes, texts: list[str]) -> tuple[AddedLine, ...]:
    """Give these lines as added ones, from the first."""
    return tuple(AddedLine(path=path, number=n, text=text) for n, text in enumerate(texts, 1))


def manifest(path: str, before: str | None, after: str | None) -> set[Rule]:
    """Judge both sides of one manifest and give what a person must look at."""
    sides = (before.encode() if before is not None else None, (after and after.encode()) or None)
    evidence = Evidence(manifests={path.encode(): sides})
    judgement = judged(entry(path, status="M"), evidence=evidence)
    assert judgement.accepted
    return {one.rule for one in judgement.protected}


def test_plain_work_is_accepted() -> None:
    """Added, changed, deleted files and changed modes in the scope pass without a word."""
    judgement = judged(
        entry("src/a.py"),
        entry("src/b.py", status="M", mode="100755"),
        entry("src/c.py", status="D"),
        scope=Scope(write=("src/**",)),
    )

    assert judgement == Judgement()


def test_too_many_files_are_one_refusal() -> None:
    """A change of more files than allowed is refused once and looked at no further."""
    judgement = judged(*(entry(f"x/{n}", mode="160000") for n in range(5)), rules=Rules(files=4))

    assert [one.rule for one in judgement.refusals] == [Rule.COUNT]


@pytest.mark.parametrize(
    "bad",
    [
        entry("sub", mode="160000"),
        entry("sub", status="D", old_mode="160000"),
        entry("sub", status="T", old_mode="160000"),
        entry("link", mode="120000"),
        entry("link", status="T", mode="120000"),
        entry("was-link", status="T", old_mode="120000"),
        entry("odd", mode="100664"),
        entry("odd", mode="040000"),
        entry("odd", status="U"),
        entry("odd", status="R100"),
    ],
)
def test_only_files_and_programs_may_come(bad: Entry) -> None:
    """Submodules never, links only where a station allows them, unknown modes never."""
    assert refused(judged(bad)) == {Rule.MODE}


def test_a_station_may_allow_links() -> None:
    """With links allowed they pass when they point inside the tree and the scope."""
    good = {b"src/a": b"b", b"src/deep/c": b"../b", b"src/d": b"sub/./x"}
    rules = Rules(symlinks=True)
    entries = [entry(path, mode="120000") for path in good]

    judgement = judged(
        *entries, rules=rules, scope=Scope(write=("src/**",)), evidence=Evidence(links=good)
    )

    assert judgement.accepted


@pytest.mark.parametrize(
    ("path", "target"),
    [
        (b"src/l", b"/etc/passwd"), (b"src/l", b"../../x"), (b"src/l", b"../docs/x"),
        (b"src/l", b""), (b"src/l", b"a\nb"), (b"src/l", b"a//b"), (b"src/l", b"../.git/config"),
        (b"src/l", b"a\\b"), (b"src/l", b".."), (b"src/.gitignore", b"x"), (b"src/l", b"\xff"),
        (b"src/.GITATTRIBUTES", b"x"), (b"src/l", b"x\xe2\x80\xae"), (b"l", b"."),
    ],
)  # fmt: skip
def test_links_stay_inside(path: bytes, target: bytes) -> None:
    """A link that is absolute, leaves the tree or the scope, or is unclear is refused."""
    judgement = judged(
        entry(path, mode="120000"),
        rules=Rules(symlinks=True),
        scope=Scope(write=("src/**", "l")),
        evidence=Evidence(links={path: target}),
    )

    assert Rule.SYMLINK in refused(judgement)


@pytest.mark.parametrize(
    "path",
    [
        b"a\nb", b"a\tb", b"a\\b", b"\xff", b"a\x00b", b"a\x1bb", "a\u202eb".encode(),
        "a\u200bb".encode(), "\ufeffa".encode(), "a\U000e0041b".encode(), "a\u0085".encode(),
        b"x/" + b"a" * 256, b"/".join([b"d" * 100] * 5), b"a//b", b"./a", b"a/../b", b"/a", b"a/",
        b".git/config", b"a/.GIT/x", b"a/.git./x", b".git /x", b"GIT~1/x", b"git~2", b"GI7EBA~1",
        ".g\u200cit/x".encode(), "\uff0egit/x".encode(), b".git:stream", b"a/.git::$INDEX/x", b"",
    ],
)  # fmt: skip
def test_paths_that_deceive_are_refused(path: bytes) -> None:
    """A path that hides, escapes, or is .git on some file system is refused."""
    assert Rule.PATH in refused(judged(entry(path)))


@pytest.mark.parametrize(
    "path", ["a b.txt", "naïve/ñ.md", "日本/語.txt", ".github.md", "git~x", "x.git", ".gitkeep",
             "a'b\"c", "-rf", "$(x)", "digit~1", "100%", "[id].tsx", "@scope/x", "a/~b", "..x"],
)  # fmt: skip
def test_unusual_honest_paths_pass(path: str) -> None:
    """Spaces, other scripts, brackets and shell characters are no offence."""
    assert judged(entry(path)) == Judgement()


def test_a_badly_named_file_may_be_deleted() -> None:
    """What should never have been there can be removed."""
    assert judged(entry(b"bad\nname", status="D")).accepted


@pytest.mark.parametrize(
    ("new", "there", "known"),
    [
        (b"readme.md", {b"": {b"README.md", b"readme.md"}}, set()),
        (b"Src/x", {b"": {b"src", b"Src"}, b"Src": {b"x"}}, set()),
        ("stra\u00dfe".encode(), {b"": {b"strasse", "stra\u00dfe".encode()}}, set()),
        ("e\u0301".encode(), {b"": {"\u00e9".encode(), "e\u0301".encode()}}, set()),
    ],
)
def test_names_that_a_file_system_confuses_are_refused(
    new: bytes, there: Mapping[bytes, set[bytes]], known: set[bytes]
) -> None:
    """A new name equal to another after folding case or composition is refused."""
    siblings = {place: frozenset(names) for place, names in there.items()}
    evidence = Evidence(siblings=siblings, known=frozenset({b"", *known}))

    assert refused(judged(entry(new), evidence=evidence)) == {Rule.PATH}


def test_names_that_were_confused_before_are_no_news() -> None:
    """A change inside a directory whose twin was there before is not blamed for it."""
    evidence = Evidence(
        siblings={b"": frozenset({b"Doc", b"doc"}), b"doc": frozenset({b"new"})},
        known=frozenset({b"", b"doc"}),
    )

    assert judged(entry("doc/new"), evidence=evidence).accepted


def test_the_scope_counts_for_every_change() -> None:
    """Additions, changes and deletions outside the scope are refused, and only those."""
    scope = Scope(write=("src/**", "!src/gen/**"))

    judgement = judged(
        entry("src/ok.py"),
        entry("docs/a"),
        entry("docs/b", status="M"),
        entry("docs/c", status="D"),
        entry("src/gen/d", status="M"),
        scope=scope,
    )

    assert [one.path for one in judgement.refusals] == [
        b"docs/a",
        b"docs/b",
        b"docs/c",
        b"src/gen/d",
    ]
    assert judgement.only_scope


PROTECTED = [
    ".github/workflows/ci.yml", ".github/CODEOWNERS", ".gitlab-ci.yml", ".circleci/config.yml",
    "Jenkinsfile", "azure-pipelines.yml", ".gitattributes", "sub/.gitattributes", ".gitmodules",
    ".gitconfig", "conftest.py", "tests/deep/conftest.py", "sitecustomize.py", "pytest.ini",
    "tox.ini", "noxfile.py", "setup.cfg", "setup.py", "Makefile", "sub/makefile", "rules.mk.lock",
    "package-lock.json", "uv.lock", "web/yarn.lock", "Cargo.lock", "go.sum", "pnpm-lock.yaml",
    "factory.toml", ".pre-commit-config.yaml", ".npmrc", "pip.conf", ".vscode/tasks.json",
    ".husky/pre-commit", "x.pth", ".cargo/config.toml", "crates/a/.cargo/config.toml",
    "jest.config.js", "pytest.py", "src/json.py", "tests/random.py", "unittest/__init__.py",
    "_pytest/__init__.py", "pytest_cov.py", "CONFTEST.PY", ".github/dependabot.yml", "pom.xml",
    "build.gradle.kts", "Gemfile", "web/vite.config.ts", ".devcontainer/devcontainer.json",
]  # fmt: skip


@pytest.mark.parametrize("path", PROTECTED)
def test_what_decides_what_runs_waits_for_a_person(path: str) -> None:
    """CI, git, runner, build, lock and tool files are taken and named, never passed by."""
    sides: Mapping[bytes, tuple[bytes | None, bytes | None]] = {path.encode(): (None, b"x")}
    gradle = path in {"pom.xml", "build.gradle.kts", "Gemfile"}
    judgement = judged(entry(path), evidence=Evidence(manifests=sides if gradle else {}))

    assert judgement.accepted
    assert [one.rule for one in judgement.protected] == [Rule.PROTECTED]


@pytest.mark.parametrize(
    "path", [".gitignore", "README.md", "src/app/types.py", "src/app/json.py", "docs/Makefile.md",
             "src/lock.py", "tests/test_conftest.py", "src/setup_things.py", "github/x", "code.js",
             "src/test/x.py", "AGENTS.md", "src/locksmith.py", "Dockerfile", "json/readme.md"],
)  # fmt: skip
def test_ordinary_files_wait_for_nobody(path: str) -> None:
    """Source, documents and ignore files are not protected."""
    assert judged(entry(path)) == Judgement()


def test_a_changed_module_shadows_nothing_new() -> None:
    """Only a new module of a taken name is suspicious; an old one may be changed."""
    assert not judged(entry("src/json.py", status="M")).protected


def test_made_lock_files_pass_without_a_person() -> None:
    """Where a station makes a lock file anew before testing, an agent's version is no danger."""
    rules = Rules(made=("web/*.lock",))

    assert not judged(entry("web/yarn.lock", status="M"), rules=rules).protected
    assert judged(entry("uv.lock", status="M"), rules=rules).protected
    assert judged(entry(".github/x.lock"), rules=Rules(made=("**",))).protected


def test_the_users_own_globs_add_and_never_take_away() -> None:
    """`protect` adds to the built-in list; a negated glob in it opens nothing built in."""
    rules = Rules(protect=("db/**", "!.github/**", "!db/seed.sql"))

    named = judged(entry("db/schema.sql"), entry("db/seed.sql"), entry(".github/x"), rules=rules)

    assert [one.path for one in named.protected] == [b"db/schema.sql", b".github/x"]


@pytest.mark.parametrize(
    "names",
    [{b"HEAD", b"objects", b"refs", b"x"}, {b"head", b"Objects", b"REFS"}, {b"HEAD", b"commondir"}],
)
def test_a_directory_that_git_takes_for_a_repository_is_refused(names: set[bytes]) -> None:
    """The names that make a git dir are refused together, wherever and since when they stand."""
    evidence = Evidence(siblings={b"a": frozenset(names), b"": frozenset({b"a"})})

    assert refused(judged(entry("a/x", status="M"), evidence=evidence)) == {Rule.NESTED}


def test_sizes_are_limited_in_all_and_for_each_file() -> None:
    """A file beyond a quarter of the limit is refused, and so are many below it together."""
    one, two = Oid("a" * 40), Oid("b" * 40)
    big = Evidence(sizes={one: 5_000_001})
    many = Evidence(sizes={Oid(f"{n:040x}"): 4_900_000 for n in range(5)})
    five = [entry(f"f{n}", oid=f"{n:040x}") for n in range(5)]

    assert refused(judged(entry("f", oid=one), evidence=big)) == {Rule.SIZE}
    assert refused(judged(*five, evidence=many)) == {Rule.SIZE}
    assert judged(*five[:4], evidence=many).accepted
    assert judged(
        entry("f", oid=two), entry("g", oid=two), evidence=Evidence(sizes={two: 4_900_000})
    ).accepted


@pytest.mark.parametrize(
    "char", ["\u202e", "\u2066", "\u200b", "\u2060", "\ufeff", "\u061c", "\u180e", "\U000e0041",
             "\U000e0101", "\x1b", "\x00", "\x7f", "\x9b", "\r", "\u2028"],
)  # fmt: skip
def test_unseen_characters_in_added_lines_are_refused(char: str) -> None:
    """Bidi, zero-width, tag and control characters are refused and named by their number."""
    judgement = added(f"x = 'a{char}b'")

    assert refused(judgement) == {Rule.TEXT}
    assert f"U+{ord(char):04X}" in judgement.refusals[0].text
    assert judgement.refusals[0].text.isprintable()


@pytest.mark.parametrize(
    ("text", "number"),
    [("plain\r", 2), ("\ufeffusing System;\r", 1), ("\tx", 2), ("it's 日本語 — fine…", 2),
     ("👨\u200d👩\u200d👧 family", 2), ("❤\ufe0f\u200d🔥", 2), ("caf\udce9", 2),
     ("\u03b1 + \u03b2", 2)],
)  # fmt: skip
def test_honest_text_passes(text: str, number: int) -> None:
    """CRLF, a leading byte order mark, emoji, other scripts and old encodings are no offence."""
    assert added(text, number=number) == Judgement()


def test_mixed_scripts_are_a_remark() -> None:
    """A word of letters that look alike from two scripts is told, not refused."""
    judgement = added("p\u0430ssword = 1")

    assert judgement.accepted
    assert "Latin and Cyrillic" in judgement.warnings[0].text


def test_remarks_do_not_hide_what_is_grave() -> None:
    """However many slight or grave lines come first, the file is refused and the list is short."""
    slight = [f"p\u0430ss{n} = 1" for n in range(300)]
    grave = [f"x{n} = '\u202e'" for n in range(300)]

    first = judged(evidence=Evidence(added=numbered(b"x.py", [*slight, *grave])))

    assert len(first.warnings) == 100
    assert 100 <= len(first.refusals) <= 101


@pytest.mark.parametrize(
    ("path", "texts", "accepted"),
    [
        (b"bin/run", ["#!/bin/sh", "echo \0\u202e"], False),
        (b"bin/run", ["echo", "echo \0\u202e"], False),
        (b"bin/blob", ["\x7fELF\0\0", "\u202e"], True),
        (b"Makefile", ["\0", "\u202e"], False),
        (b"a.tar.gz", ["\x1f\udc8b\b", "\u202e"], True),
        (b"a.dat", ["plain \u202e"], False),
    ],
)
def test_a_program_is_no_data(path: bytes, texts: list[str], *, accepted: bool) -> None:
    """A byte of zero does not turn a program into data that may hold anything."""
    assert judged(evidence=Evidence(added=numbered(path, texts))).accepted is accepted


def test_data_files_may_hold_any_byte() -> None:
    """A picture is no text; a source file with the same bytes still is one."""
    lines = ("\x89PNG\r\x1a", "\x00\x00\u202e\udcff")
    picture = tuple(AddedLine(path=b"a.png", number=n, text=text) for n, text in enumerate(lines))
    source = tuple(AddedLine(path=b"a.py", number=n, text=text) for n, text in enumerate(lines))

    assert judged(entry("a.png"), evidence=Evidence(added=picture)).accepted
    assert not judged(entry("a.py"), evidence=Evidence(added=source)).accepted


SECRETS = [
    "AKIA" + "IOSFODNN7EXAMPLE",
    "aws_secret_access_key = " + "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
    "ghp_" + "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8",
    "github_pat_" + "11ABCDEFG0abcdefghijkl_ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefgh",
    "glpat-" + "a1B2c3D4e5F6g7H8i9J0",
    "xoxb-" + "123456789012-abcdefABCDEF",
    "-----BEGIN RSA " + "PRIVATE KEY-----",
    "-----BEGIN OPENSSH " + "PRIVATE KEY-----",
    "sk-ant-" + "api03-abcdefghijklmnopqrst",
    "sk-proj-" + "abcdefghijklmnopqrstuvwxyz0123456789",
    "AIza" + "SyA1b2C3d4E5f6G7h8I9j0K1l2M3n4O5p6Q",
    "sk_live_" + "a1B2c3D4e5F6g7H8",
    "npm_" + "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8",
    "eyJhbGciOiJIUzI1NiJ9" + ".eyJzdWIiOiIxMjM0NTY3ODkwIn0" + ".dozjgNryP4J3jVmNHl0w5N",
    "API_KEY = '" + "q8Zk3vTn7XwP2mLs9RfY4bHd" + "'",
    "postgres://app:" + "q8Zk3vTn7XwP2mLs" + "@db.internal/x",
]


@pytest.mark.parametrize("secret", SECRETS)
def test_secrets_are_refused_and_never_repeated(secret: str) -> None:
    """A line that holds a known kind of secret is refused, and no text of it is in the reason."""
    judgement = added(f"x = {secret}  # here")

    assert refused(judgement) == {Rule.TEXT}
    assert secret[-12:] not in judgement.refusals[0].text


@pytest.mark.parametrize(
    "text",
    [
        "token = os.environ['GITHUB_TOKEN']", 'password = "correct horse battery staple"',
        'TOKEN = "test-token-000000000000000000"', "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f",
        "postgres://user:password@localhost/db", "https://user:${PASSWORD}@host/x",
        'secret_name = "projects/one/secrets/two/versions/latest"', "AKIA is a prefix",
        "-----BEGIN PUBLIC KEY-----", 'api_key: "<your-api-key-goes-in-this-place>"',
        "sk-learn is a package", "integrity sha512-AbCdEfGhIjKlMnOpQrStUvWxYz0123456789==",
    ],
)  # fmt: skip
def test_words_about_secrets_are_no_secrets(text: str) -> None:
    """Names, placeholders, digests and public keys are no offence."""
    assert added(text) == Judgement()


PYPROJECT = """
[build-system]
requires = ["hatchling"]
[project]
name = "x"
dependencies = ["rich>=13", "Typer"]
[project.optional-dependencies]
dev = ["pytest"]
[tool.ruff]
line-length = 100
[tool.pytest.ini_options]
addopts = "-q"
"""


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("line-length = 100", "line-length = 120", set()),
        ('name = "x"', 'name = "x"\ndescription = "y"', set()),
        ('"rich>=13"', '"rich>=14"', set()),
        ('"Typer"', '"typer>=0.9"', set()),
        ('"rich>=13", ', "", set()),
        ('"Typer"', '"Typer", "evil"', {Rule.DEPENDENCY}),
        ('"pytest"', '"pytest", "pytest-evil"', {Rule.DEPENDENCY}),
        ('"Typer"', '"Typer @ https://evil.example/x.whl"', {Rule.DEPENDENCY}),
        ('addopts = "-q"', 'addopts = "-q -p evil"', {Rule.PROTECTED}),
        ('"hatchling"', '"hatchling", "evil"', {Rule.PROTECTED}),
        ("[tool.ruff]", '[project.scripts]\nx = "x:y"\n[tool.ruff]', {Rule.PROTECTED}),
        ("[tool.ruff]", '[tool.factory]\nversion = 1\n[tool.ruff]', {Rule.PROTECTED}),
        ("[tool.ruff]", '[[tool.uv.index]]\nurl = "https://e"\n[tool.ruff]', {Rule.PROTECTED}),
        ("[tool.ruff]", '[tool.poetry.dependencies]\nevil = "1"\n[tool.ruff]', {Rule.DEPENDENCY}),
        ("[tool.ruff]", '[dependency-groups]\ndev = ["evil"]\n[tool.ruff]', {Rule.DEPENDENCY}),
        ("[tool.ruff]", "[tool.ruff", {Rule.PROTECTED}),
        ('dependencies = ["rich>=13", "Typer"]', "dependencies = 3", {Rule.PROTECTED}),
    ],
)  # fmt: skip
def test_pyproject_is_judged_by_what_changed(old: str, new: str, expected: set[Rule]) -> None:
    """Versions and linters pass; packages, the build and the runner wait for a person."""
    assert old in PYPROJECT
    assert manifest("pyproject.toml", PYPROJECT, PYPROJECT.replace(old, new, 1)) == expected


@pytest.mark.parametrize(
    ("path", "before", "after", "expected"),
    [
        ("requirements.txt", "rich==1\n", "rich==2  # up\n", set()),
        ("requirements/dev.txt", "rich\n", "rich\nevil==1 --hash=sha256:00\n", {Rule.DEPENDENCY}),
        ("requirements.txt", "rich\n", "--index-url https://e\nrich\n", {Rule.PROTECTED}),
        ("constraints-dev.txt", "", "-r other.txt\n", {Rule.PROTECTED}),
        ("package.json", '{"version":"1"}', '{"version":"2"}', set()),
        ("package.json", '{"scripts":{"a":"b"}}', '{"scripts":{"a":"c"}}', {Rule.PROTECTED}),
        ("package.json", "{}", '{"dependencies":{"evil":"1"}}', {Rule.DEPENDENCY}),
        ("package.json", '{"dependencies":{"a":"1"}}', '{"dependencies":{"a":"github:e/a"}}',
         {Rule.DEPENDENCY}),
        ("package.json", '{"dependencies":{"a":"^1"}}', '{"dependencies":{"a":"~2"}}', set()),
        ("package.json", "{}", "{", {Rule.PROTECTED}),
        ("package.json", "{}", "[" * 100_000, {Rule.PROTECTED}),
        ("package.json", None, '{"name":"new"}', set()),
        ("Cargo.toml", "[dependencies]\na='1'", "[dependencies]\na='2'", set()),
        ("Cargo.toml", "", "[target.'cfg(unix)'.dependencies]\nevil='1'", {Rule.DEPENDENCY}),
        ("Cargo.toml", "", "[patch.crates-io]\na={path='x'}", {Rule.PROTECTED}),
        ("go.mod", "module x\nrequire (\n a v1\n)\n", "module x\nrequire (\n a v2\n)\n", set()),
        ("go.mod", "module x\n", "module x\nrequire evil v1\n", {Rule.DEPENDENCY}),
        ("go.mod", "module x\n", "module x\nreplace a => ./b\n", {Rule.PROTECTED}),
        ("Cargo.toml", "[dependencies]\na='1'", "[dependencies]\na={git='x'}", {Rule.DEPENDENCY}),
        ("Cargo.toml", "[dependencies]\na='1'", "[dependencies]\na={version='2'}", set()),
        ("pyproject.toml", "", "[tool.poetry.group.d.dependencies]\ne='1'", {Rule.DEPENDENCY}),
        ("pyproject.toml", "", "[[tool.poetry.dependencies.e]]\nversion='1'", {Rule.DEPENDENCY}),
        ("pyproject.toml", "", "[tool.poetry]\nname='x'\ndependencies={e='/x'}",
         {Rule.DEPENDENCY}),
        ("pyproject.toml", "", "project = 3", {Rule.PROTECTED}),
        ("requirements.txt", "", "./local\n", {Rule.DEPENDENCY}),
        ("package.json", "[", '{"name":"x"}', set()),
        ("Pipfile", "", "[packages]\nevil = '*'\n", {Rule.DEPENDENCY}),
        ("composer.json", "{}", '{"require":{"evil/x":"1"}}', {Rule.DEPENDENCY}),
        ("Gemfile", "a", "b", {Rule.PROTECTED}),
        ("sub/pom.xml", "a", "b", {Rule.PROTECTED}),
        ("pyproject.toml", "x = 1", None, {Rule.PROTECTED}),
    ],
)  # fmt: skip
def test_manifests_wait_for_a_person_when_they_gain(
    path: str, before: str | None, after: str | None, expected: set[Rule]
) -> None:
    """A new package or origin, a new command, and what cannot be read wait for a person."""
    assert manifest(path, before, after) == expected


def test_bytes_that_are_no_text_are_no_manifest() -> None:
    """A manifest that is too large or not UTF-8 is named, not skipped."""
    for after in (b"\xff\xfe", b" " * 1_000_001):
        evidence = Evidence(manifests={b"package.json": (b"{}", after)})
        assert judged(entry("package.json", status="M"), evidence=evidence).protected


def test_everything_wrong_is_named_at_once() -> None:
    """One judgement names every finding, so that one repair can answer all."""
    evidence = Evidence(
        sizes={Oid("1" * 40): 6_000_000},
        added=(AddedLine(path=b"docs/x", number=1, text="\u202e"),),
        siblings={b"docs": frozenset({b"HEAD", b"commondir"})},
    )

    judgement = judged(
        entry("docs/x"), entry("a\\b", mode="160000"), entry("conftest.py"),
        scope=Scope(write=("src/**",)), evidence=evidence,
    )  # fmt: skip

    assert refused(judgement) == {
        Rule.MODE, Rule.PATH, Rule.SCOPE, Rule.NESTED, Rule.SIZE, Rule.TEXT,
    }  # fmt: skip
    assert [one.path for one in judgement.protected] == [b"conftest.py"]
    assert not judgement.only_scope


@settings(deadline=None)
@given(st.binary(max_size=500), st.text(max_size=500))
def test_a_finding_is_safe_to_print(path: bytes, why: str) -> None:
    """Whatever a path or reason holds, its text is one line of printable characters."""
    finding = Refusal(rule=Rule.PATH, path=path, why=why)

    assert finding.text.isprintable()
    assert len(finding.text) < 1000


@settings(deadline=None)
@given(st.binary(max_size=60), st.text(max_size=80), st.binary(max_size=80))
def test_no_input_breaks_the_judge(path: bytes, text: str, content: bytes) -> None:
    """Any bytes in any place give a judgement and never an error."""
    names = (b"pyproject.toml", b"package.json", b"Cargo.toml", b"go.mod", b"requirements.txt")
    evidence = Evidence(
        added=(AddedLine(path=path, number=1, text=text),),
        links={path: content},
        siblings={path: frozenset({content})},
        manifests=dict.fromkeys(names, (content[:40], content[40:])),
    )

    assert judged(entry(path), rules=Rules(symlinks=True), evidence=evidence) is not None


def test_five_hundred_lines_are_scanned_in_no_time() -> None:
    """The policy judges 500 added lines in less than 50 ms."""
    texts = ["    result = compute(value, 'naïve', key=\"abcdef0123456789\")  # a comment"] * 500
    lines = tuple(AddedLine(path=b"src/x.py", number=n, text=t) for n, t in enumerate(texts))
    entries = [entry(f"src/f{n}.py") for n in range(50)]
    judged(*entries, evidence=Evidence(added=lines))

    start = process_time()
    judged(*entries, evidence=Evidence(added=lines))

    assert process_time() - start < 0.05
