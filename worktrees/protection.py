"""Protection: the paths that never change without a person, because they decide what runs. Pure.

The lists are in lower case and paths are compared so: a file system may fold case.
"""

import sys
from collections.abc import Sequence
from typing import Final

from worktrees.scope import allows

CHECKS: Final = (
    *(".github/", ".gitlab/", ".gitlab-ci.yml", ".gitea/", ".forgejo/", ".circleci/"),
    *(".travis.yml", ".buildkite/", ".woodpecker/", ".woodpecker.y*ml", ".drone.y*ml"),
    *(".drone.jsonnet", ".drone.star", ".teamcity/", ".semaphore/", ".cirrus.y*ml"),
    *(".cirrus.star", ".builds/", ".build.yml", "appveyor.yml", ".appveyor.yml"),
    *("azure-pipelines*.y*ml", ".azure-pipelines/", "azure-pipelines/", "jenkinsfile*"),
    *("bitbucket-pipelines.yml", "cloudbuild.y*ml", "buildspec*.y*ml", ".readthedocs.y*ml"),
    *("netlify.toml", "vercel.json", ".zuul.d/", ".zuul.y*ml", "zuul.d/", "codeowners"),
    *("renovate.json*", ".renovaterc*", ".mergify.yml", "codecov.yml", ".codecov.yml"),
)
GIT: Final = (
    *(".gitattributes", ".gitmodules", ".gitconfig", ".lfsconfig", ".githooks/", ".husky/"),
    *(".pre-commit-config.y*ml", ".pre-commit-hooks.yaml", "lefthook.y*ml", ".lefthook.y*ml"),
    *(".lefthook/", ".overcommit.yml"),
)
RUNNERS: Final = (
    *("conftest.py", "sitecustomize.py", "usercustomize.py", "*.pth", "pytest.ini", ".pytest.ini"),
    *("pytest.toml", ".pytest.toml", "tox.ini", "tox.toml", "noxfile.py", "setup.cfg", "setup.py"),
    *(".coveragerc", "hatch.toml", "hatch_build.py", "phpunit*.xml*", ".rspec", ".mocharc*"),
    *("jest.config.*", "jest.setup.*", "vitest.config.*", "vitest.workspace.*", "vite.config.*"),
    *("playwright.config.*", "cypress.config.*", "karma.conf.*", "ava.config.*", ".nycrc*"),
    *("wdio.conf.*", "nx.json", "turbo.json", "lerna.json", "deno.json*", "bunfig.toml"),
    *("codecept.conf.*", ".taprc", "gulpfile.*", "gruntfile.*", ".pnpmfile.cjs"),
)
BUILD: Final = (
    *(
        "makefile",
        "gnumakefile",
        "makefile.am",
        "makefile.in",
        "makefile.inc",
        "justfile",
        ".justfile",
        "taskfile.y*ml",
    ),
    *("rakefile", "gradlew", "gradlew.bat", "**/gradle/wrapper/**", "mvnw", "mvnw.cmd", ".mvn/"),
    *("settings.gradle*", "rust-toolchain*", ".cargo/", ".envrc", "dodo.py"),
)
REGISTRIES: Final = (
    *("pip.conf", "pip.ini", ".pypirc", "uv.toml", ".npmrc", ".yarnrc", ".yarnrc.yml"),
    *("nuget.config", ".bundle/", ".condarc", ".netrc", ".gemrc"),
)
TOOLS: Final = (
    *("factory.toml", ".vscode/", ".idea/", ".devcontainer/", ".claude/", ".cursor/"),
    *(".codex/", ".mcp.json"),
)
LOCKS: Final = (
    *("*.lock", "package-lock.json", "npm-shrinkwrap.json", "pnpm-lock.yaml", "bun.lockb"),
    *("go.sum", "go.work.sum", "*.lockfile", "packages.lock.json", "pylock.toml"),
    *("pylock.*.toml", "package.resolved", ".terraform.lock.hcl", "deno.lock", "*.lock.json"),
)
_GROUPS: Final = (
    (CHECKS, "decides what is checked"),
    (GIT, "decides what git does"),
    (RUNNERS, "configures how tests run"),
    (BUILD, "says what the build runs"),
    (REGISTRIES, "says where packages come from"),
    (TOOLS, "configures a tool that runs commands"),
)
_RUNNER_WORDS: Final = (
    "pytest _pytest pluggy iniconfig packaging exceptiongroup tomli xdist execnet hypothesis "
    "coverage nose nose2 tox nox pip setuptools wheel build trial twisted behave ward py attr "
    "_distutils_hack pkg_resources virtualenv"
)
_RUNNER_MODULES: Final = frozenset(_RUNNER_WORDS.split())
_IMPORT_ROOTS: Final = frozenset({"", "src", "tests", "test"})


def protected(path: str, *, new: bool, extra: Sequence[str], made: Sequence[str]) -> str:
    """Say why a person must look at a change of this path, or give an empty string.

    ``extra`` are the user's own globs, ``made`` those of files that are made anew before testing.
    """
    low = path.lower()
    if allows(LOCKS, low) and not allows(tuple(made), path):
        return "pins what is installed"
    for patterns, why in _GROUPS:
        if allows(patterns, low):
            return why
    if new and shadows(path):
        return "takes the name of a module of Python or of the test runner"
    return "is protected by this line's configuration" if allows(tuple(extra), path) else ""


def shadows(path: str) -> bool:
    """Say whether a new file could be imported in place of the test runner or the library."""
    directory, _, name = path.rpartition("/")
    if name.lower() == "__init__.py":
        directory, _, name = directory.rpartition("/")
    elif not name.lower().endswith((".py", ".pyc", ".so")):
        return False
    module = name.split(".")[0]
    known = module in sys.stdlib_module_names or module in _RUNNER_MODULES
    return directory in _IMPORT_ROOTS and (known or module.startswith("pytest_"))
