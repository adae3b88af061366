"""Commands resolved on the host: what becomes visible for them, and what never does."""

import sys
from pathlib import Path

import pytest

from stations.tools import Surroundings, SurroundingsError, Tool, ToolMissingError, resolve
from tests.run import run

SYSTEM = "/usr/local/bin:/usr/bin:/bin"


def program(path: Path, text: str = "#!/bin/sh\n") -> Path:
    """Make an executable file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)
    return path


def shown(tool: Tool) -> set[str]:
    """Give the places that a tool makes visible."""
    assert not any(mount.writable for mount in tool.mounts)
    return {mount.target for mount in tool.mounts}


BASE = Path(sys.base_prefix).resolve()
INTERPRETER = set() if Path("/usr") == BASE else {str(BASE)}
"""Where the interpreter of the tests lies, if every sandbox does not show that anyway."""


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """Give an empty checkout."""
    (tmp_path / "checkout").mkdir()
    return tmp_path / "checkout"


@pytest.fixture
def venv(checkout: Path) -> Path:
    """Give a virtual environment in the checkout, made from the interpreter of the tests."""
    run([Path(sys.base_prefix) / "bin/python3", "-m", "venv", "--without-pip", checkout / ".venv"])
    program(checkout / ".venv/bin/tool", f"#!{checkout}/.venv/bin/python\n")
    return checkout / ".venv"


def test_a_system_command_needs_no_mount_of_its_own(checkout: Path) -> None:
    """What lies below /usr is visible anyway and is not mounted twice."""
    tool = resolve("sh", checkout, Surroundings(path=SYSTEM))

    assert tool.path in {"/usr/bin/sh", "/bin/sh"}
    assert all(not place.startswith(("/usr", "/bin")) for place in shown(tool))
    assert tool.path_entries[-2:] == ("/usr/bin", "/bin")


def test_the_shared_environment_comes_first_and_brings_its_interpreter(
    checkout: Path, venv: Path
) -> None:
    """`python` means the shared one; its base interpreter is shown wherever it lies."""
    tool = resolve("python", checkout, Surroundings(share=(".venv",), path=SYSTEM))

    assert tool.path == str(venv / "bin/python")
    assert tool.path_entries[0] == str(venv / "bin")
    assert {str(venv), *INTERPRETER} <= shown(tool)


def test_a_console_script_of_the_environment_is_found_there(checkout: Path, venv: Path) -> None:
    """Its first line names the environment's python, whose interpreter is shown as well."""
    tool = resolve("tool", checkout, Surroundings(share=(".venv",), path=SYSTEM))

    assert tool.path == str(venv / "bin/tool")
    assert shown(tool) >= INTERPRETER


def test_a_linked_environment_stands_at_both_of_its_places(
    checkout: Path, venv: Path, tmp_path: Path
) -> None:
    """Scripts name either path, so both exist."""
    venv.rename(tmp_path / "real")
    venv.symlink_to(tmp_path / "real")

    tool = resolve("python", checkout, Surroundings(share=(".venv",), path=SYSTEM))

    assert {str(venv), str(tmp_path / "real")} <= shown(tool)


def test_every_command_finds_the_shared_environment_on_its_path(checkout: Path, venv: Path) -> None:
    """`make test` that calls python gets the same python."""
    tool = resolve("env", checkout, Surroundings(share=(".venv",), path=SYSTEM))

    assert tool.path_entries[0] == str(venv / "bin")


def test_an_environment_that_is_not_shared_is_not_used(checkout: Path, venv: Path) -> None:
    """An activated environment in the checkout that nobody shared stays invisible."""
    around = Surroundings(path=f"{venv}/bin:{SYSTEM}")

    with pytest.raises(ToolMissingError, match=r"tool: not found"):
        resolve("tool", checkout, around)
    assert str(venv) not in shown(resolve("env", checkout, around))


def test_a_pyenv_shim_gives_the_real_interpreter(checkout: Path, tmp_path: Path) -> None:
    """The version named by .python-version counts, a prefix means its newest."""
    root = tmp_path / "home/.pyenv"
    for version in ("3.11.2", "3.11.10", "3.12.1"):
        program(root / f"versions/{version}/bin/python3")
        (root / f"versions/{version}/lib/python{version[:4]}").mkdir(parents=True)
    program(root / "shims/python3")
    (root / "version").write_text("3.12.1\n")
    around = Surroundings(path=f"{root}/shims:{SYSTEM}")

    globally = resolve("python3", checkout, around)
    (checkout / ".python-version").write_text("3.11\n")
    locally = resolve("python3", checkout, around)

    assert globally.path == str(root / "versions/3.12.1/bin/python3")
    assert locally.path == str(root / "versions/3.11.10/bin/python3")
    assert shown(locally) == {str(root / "versions/3.11.10")}
    assert locally.path_entries[0] == str(root / "versions/3.11.10/bin")


def test_a_rustup_stand_in_gives_the_toolchains_program(checkout: Path, tmp_path: Path) -> None:
    """Of the home only the toolchain becomes visible, no credentials."""
    home = tmp_path / "home"
    program(home / ".cargo/bin/rustup")
    (home / ".cargo/bin/cargo").symlink_to("rustup")
    (home / ".cargo/credentials.toml").write_text("token\n")
    chain = home / ".rustup/toolchains/stable-x"
    program(chain / "bin/cargo")
    (home / ".rustup/settings.toml").write_text('default_toolchain = "stable-x"\n')

    tool = resolve("cargo", checkout, Surroundings(path=f"{home}/.cargo/bin:{SYSTEM}"))

    assert tool.path == str(chain / "bin/cargo")
    assert str(chain) in shown(tool)
    assert not any(place.startswith(str(home / ".cargo")) for place in shown(tool))


def test_a_program_directly_in_a_home_shows_only_itself(
    checkout: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """~/.local/bin/x and a python that is a link there do not make ~/.local visible."""
    home = tmp_path / "home"
    monkeypatch.setattr("stations.tools._homes", lambda: frozenset({home}))
    found = program(home / ".local/bin/x")
    (home / ".local/lib/python3.11/site-packages").mkdir(parents=True)
    (home / ".local/bin/python3").symlink_to("/usr/bin/env")

    tool = resolve("x", checkout, Surroundings(path=f"{home}/.local/bin:{SYSTEM}"))

    assert shown(tool) == {str(found), str(home / ".local/bin/python3")}


def test_a_distribution_directly_in_a_home_is_shown_whole(
    checkout: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A conda-like prefix holds its interpreter and its libraries, so all of it is needed."""
    home = tmp_path / "home"
    monkeypatch.setattr("stations.tools._homes", lambda: frozenset({home}))
    program(home / "conda/bin/python3.11")
    (home / "conda/bin/python3").symlink_to("python3.11")

    tool = resolve("python3", checkout, Surroundings(path=f"{home}/conda/bin:{SYSTEM}"))

    assert shown(tool) == {str(home / "conda")}


def test_a_tool_installed_through_a_link_brings_its_own_environment(
    checkout: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A pipx-like link leads to its environment, which is shown; the rest of the home is not."""
    home = tmp_path / "home"
    monkeypatch.setattr("stations.tools._homes", lambda: frozenset({home}))
    place = home / ".local/share/tools/x"
    program(place / "bin/x", f"#!{place}/bin/python\n")
    (place / "pyvenv.cfg").write_text("home = /usr/bin\n")
    (place / "bin/python").symlink_to("/usr/bin/env")
    (home / ".local/bin").mkdir(parents=True)
    (home / ".local/bin/x").symlink_to(place / "bin/x")

    tool = resolve("x", checkout, Surroundings(path=f"{home}/.local/bin:{SYSTEM}"))

    assert shown(tool) == {str(home / ".local/bin/x"), str(place)}


def test_node_modules_offer_their_commands(checkout: Path) -> None:
    """node_modules/.bin is on the path when it is shared."""
    program(checkout / "node_modules/.bin/lint")

    tool = resolve("lint", checkout, Surroundings(share=("node_modules",), path=SYSTEM))

    assert tool.path == str(checkout / "node_modules/.bin/lint")


NODE = "#!/usr/bin/env node\n"


@pytest.mark.parametrize(
    "place", ["one", "one/node_modules/two", ".pnpm/one@1/node_modules/one", "@scope/one"]
)
def test_a_node_program_brings_all_packages_that_it_can_import(
    checkout: Path, tmp_path: Path, place: str
) -> None:
    """Node looks in each node_modules above the real file, so the outermost is shown."""
    modules = tmp_path / "agents/node_modules"
    program(modules / place / "dist/index.js", NODE)
    (modules / ".bin").mkdir()
    (modules / ".bin/agent").symlink_to(f"../{place}/dist/index.js")

    tool = resolve("agent", checkout, Surroundings(path=f"{modules}/.bin:{SYSTEM}"))

    assert tool.path == str(modules / ".bin/agent")
    assert str(modules) in shown(tool)
    assert str(modules.parent) not in shown(tool)


def test_a_package_that_is_only_linked_is_shown_from_its_root(
    checkout: Path, tmp_path: Path
) -> None:
    """`npm link` leads to a package elsewhere, whose own node_modules stand below its root."""
    package = tmp_path / "src/agent"
    program(package / "dist/index.js", NODE)
    (package / "package.json").write_text("{}")
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/agent").symlink_to(package / "dist/index.js")

    tool = resolve("agent", checkout, Surroundings(path=f"{tmp_path}/bin:{SYSTEM}"))

    assert str(package) in shown(tool)


def test_a_node_program_in_a_home_brings_packages_but_not_the_home(
    checkout: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """~/node_modules is shown; a package directly in a home may hold more and stays hidden."""
    home = tmp_path / "home"
    monkeypatch.setattr("stations.tools._homes", lambda: frozenset({home}))
    program(home / "node_modules/one/dist/index.js", NODE)
    (home / "node_modules/.bin").mkdir()
    (home / "node_modules/.bin/one").symlink_to("../one/dist/index.js")
    program(home / "two/dist/two", NODE)
    (home / "two/package.json").write_text("{}")
    path = f"{home}/node_modules/.bin:{home}/two/dist:{SYSTEM}"

    one, two = (resolve(name, checkout, Surroundings(path=path)) for name in ("one", "two"))

    assert str(home / "node_modules") in shown(one)
    assert str(home / "two/dist") in shown(two)
    assert not {str(home), str(home / "two")} & (shown(one) | shown(two))


def test_a_program_beside_the_checkout_does_not_show_the_checkout(
    checkout: Path, tmp_path: Path
) -> None:
    """A directory that holds the checkout is not shown for the sake of a program in it."""
    found = program(tmp_path / "agent.sh")

    tool = resolve(str(found), checkout, Surroundings(path=SYSTEM))

    assert str(found) in shown(tool)
    assert str(tmp_path) not in shown(tool)


def test_a_file_of_the_tree_is_started_as_it_is_named(checkout: Path) -> None:
    """A relative path means the tree under test, whatever the checkout holds."""
    assert resolve("./run.sh", checkout, Surroundings(path=SYSTEM)).path == "./run.sh"


def test_tools_are_shown_and_found_on_the_path(checkout: Path, tmp_path: Path) -> None:
    """A directory named in the configuration is visible whole."""
    program(tmp_path / "nvm/v20/bin/node")
    around = Surroundings(tools=(tmp_path / "nvm",), path=f"{tmp_path}/nvm/v20/bin:{SYSTEM}")

    tool = resolve("node", checkout, around)

    assert tool.path == str(tmp_path / "nvm/v20/bin/node")
    assert str(tmp_path / "nvm") in shown(tool)
    assert str(tmp_path / "nvm/v20/bin") in resolve("env", checkout, around).path_entries


@pytest.mark.parametrize("where", ["", "checkout", "checkout/sub", "link"])
def test_tools_that_would_show_the_checkout_are_refused(
    checkout: Path, tmp_path: Path, where: str
) -> None:
    """Neither above, in, nor through a link."""
    (tmp_path / "link").symlink_to(checkout)

    with pytest.raises(SurroundingsError, match="checkout"):
        resolve("sh", checkout, Surroundings(tools=(tmp_path / where,), path=SYSTEM))


@pytest.mark.parametrize("name", ["/etc", "../up", "", ".git/config"])
def test_shared_paths_lie_in_the_checkout(checkout: Path, name: str) -> None:
    """A path that leaves the checkout or names the repository itself is refused."""
    with pytest.raises(SurroundingsError, match="below the checkout"):
        resolve("sh", checkout, Surroundings(share=(name,), path=SYSTEM))


def test_a_missing_command_says_where_it_was_looked_for(checkout: Path) -> None:
    """The message names the command, the places and the remedy."""
    with pytest.raises(ToolMissingError, match=r"nothing-like-it: not found.*/usr/bin.*tools"):
        resolve("nothing-like-it", checkout, Surroundings(path=SYSTEM))


def test_another_version_of_a_program_has_another_stamp(checkout: Path, tmp_path: Path) -> None:
    """Verdicts of an old interpreter are not taken for the new one's."""
    found = program(tmp_path / "opt/tool/bin/x")
    around = Surroundings(path=f"{tmp_path}/opt/tool/bin")
    before = resolve("x", checkout, around).stamp

    found.write_text("#!/bin/sh\necho new\n")

    assert resolve("x", checkout, around).stamp != before
