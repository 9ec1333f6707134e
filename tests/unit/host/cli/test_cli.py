# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
import os
import sys

import click
import pytest
from click.shell_completion import BashComplete, ShellComplete
from click.testing import CliRunner
from tests.fakes import clouds

from novadocker.errors import NovaDockerError
from novadocker.host import cgroups, lock, secrets, state, teardown
from novadocker.host.cli import main, progress
from novadocker.host.steps import Step

VERBS = sorted(main.cli.commands)


@pytest.fixture
def folders(tmp_path):
    return ["--root", str(tmp_path / "root"), "--run-dir", str(tmp_path / "run")]


def _invoke(*words: str):
    return CliRunner().invoke(main.cli, words)


def _main(monkeypatch, capsys, *words: str) -> tuple[int, str, str]:
    """What a shell sees: exit code, standard output and standard error."""
    before = os.umask(0o022)
    monkeypatch.setattr(sys, "argv", ["nova-docker", *words])
    try:
        main.main()
        code = 0
    except SystemExit as end:
        code = end.code
    finally:
        os.umask(before)
    return code, *capsys.readouterr()


def test_the_verbs():
    assert {"up", "down", "status", "env"} <= set(VERBS)


@pytest.mark.parametrize("option", ["--help", "-h"])
@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_helps_with_an_example(verb, option):
    done = _invoke(verb, option)
    assert done.exit_code == 0
    assert "Example: " in done.output
    assert f"nova-docker {verb}" in " ".join(done.output.split())


def test_help_names_every_verb_and_the_exit_codes():
    done = _invoke("--help")
    assert done.exit_code == 0
    assert all(f"  {verb} " in done.output for verb in VERBS)
    assert "Exit codes:" in done.output


@pytest.mark.parametrize(
    "words",
    [
        pytest.param(["sideways"], id="verb"),
        pytest.param(["status", "--sideways"], id="option"),
        pytest.param(["env", "--shell", "csh"], id="value"),
        pytest.param([], id="nothing"),
    ],
)
def test_what_is_not_understood_is_code_2(monkeypatch, capsys, words):
    code, out, err = _main(monkeypatch, capsys, *words)
    assert code == 2
    assert not out
    assert "Usage:" in err


WITHOUT = ["status"], ["status", "--json"], ["env"], ["logs"], ["bench"]


@pytest.mark.parametrize("verb", WITHOUT, ids=" ".join)
def test_without_a_cloud(monkeypatch, capsys, folders, tmp_path, verb):
    code, out, err = _main(monkeypatch, capsys, *folders, *verb)
    assert code == 1
    assert not out
    assert "There is no cloud nova-docker here." in err
    assert "nova-docker up" in err
    assert list(tmp_path.iterdir()) == []


def test_help_and_version_are_code_0(monkeypatch, capsys):
    assert _main(monkeypatch, capsys, "--help")[0] == 0
    code, out, _ = _main(monkeypatch, capsys, "--version")
    assert (code, out.split()[0]) == (0, "nova-docker,")


@pytest.mark.parametrize("verb", ["up", "down"])
def test_what_changes_the_machine_needs_root(monkeypatch, capsys, folders, tmp_path, verb):
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    code, _, err = _main(monkeypatch, capsys, *folders, verb)
    assert code == 1
    assert "needs root" in err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("raised", "user", "words"),
    [
        pytest.param(PermissionError(13, "Permission denied", "/x"), 1000, "sudo", id="not root"),
        pytest.param(OSError(28, "No space left on device"), 0, "No space left", id="full"),
    ],
)
def test_what_the_machine_refuses_is_told_without_a_traceback(
    monkeypatch, capsys, folders, raised, user, words
):
    def refuse(layout):
        raise raised

    monkeypatch.setattr(state, "recall", refuse)
    monkeypatch.setattr(os, "geteuid", lambda: user)
    code, _, err = _main(monkeypatch, capsys, *folders, "status")
    assert code == 1
    assert words in err
    assert "Traceback" not in err


def test_a_damaged_cloud_is_told(monkeypatch, capsys, folders, tmp_path):
    (tmp_path / "root" / "data").mkdir(parents=True)
    (tmp_path / "root" / "data" / "state.json").write_text("{")
    code, _, err = _main(monkeypatch, capsys, *folders, "status")
    assert code == 1
    assert "damaged" in err


@pytest.fixture
def nothing_removed(monkeypatch):
    """As root, but with no step carried out, whatever becomes of the checks."""
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(teardown, "carry_out", lambda *_, **__: pytest.fail("would have removed it"))


NOWHERE = ["--run-dir", "/run/nova-docker-nowhere"]


def test_down_refuses_a_folder_of_somebody_else(monkeypatch, capsys, tmp_path, nothing_removed):
    (tmp_path / "letter").write_text("dear")
    code, _, err = _main(monkeypatch, capsys, "--root", str(tmp_path), *NOWHERE, "down")
    assert code == 1
    assert "not a cloud's" in err


@pytest.mark.parametrize("root", ["/", "/home", "/var/lib/../.."])
def test_down_refuses_a_folder_of_the_system(monkeypatch, capsys, nothing_removed, root):
    code, _, err = _main(monkeypatch, capsys, "--root", root, *NOWHERE, "down")
    assert code == 1
    assert "root: an absolute path" in err


@pytest.mark.parametrize("verb", ["up", "down"])
@pytest.mark.parametrize("options", [["--name", ".."], ["--root", "/"], ["--run-dir", "relative"]])
def test_nothing_is_touched_before_the_configuration_was_checked(monkeypatch, capsys, options, verb):
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    for module, door in ((lock, "held"), (cgroups, "claim")):
        monkeypatch.setattr(module, door, lambda *_, **__: pytest.fail("touched"))
    code, _, err = _main(monkeypatch, capsys, *options, verb)
    assert code == 1
    assert "The configuration cannot work." in err


def test_interruption_is_code_130(monkeypatch, capsys, folders):
    def interrupt(layout):
        raise KeyboardInterrupt

    monkeypatch.setattr(state, "recall", interrupt)
    assert _main(monkeypatch, capsys, *folders, "status")[0] == 130


def test_exports_of_a_cloud(tmp_path, folders):
    cloud = clouds.cloud_in(tmp_path)
    cloud.layout.data.mkdir(parents=True)
    state.remember(cloud.layout, state.Memory(ports=cloud.config.ports, capacity=cloud.split.to_dict()))
    made = secrets.load_or_make(cloud.layout.secrets_file)
    administrator, member = _invoke(*folders, "env"), _invoke(*folders, "env", "--member")
    assert administrator.exit_code == member.exit_code == 0, administrator.output
    assert f"export OS_PASSWORD={made['admin']}\n" in administrator.output
    assert f"export OS_PASSWORD={made['member']}\n" in member.output


@pytest.fixture
def shown(capsys):
    made = progress.Progress(verbose=True)
    yield made
    made.close()


def test_words_that_look_like_markup_are_told_as_they_are(capsys, shown):
    step = Step(name="it [bold]", act=lambda: True)
    error = NovaDockerError("`mount [/dev/x] [red]` ended with code 1.", facts="[/etc]", hint="[see] there")
    shown.began(step)
    shown.failed(step, error, seconds=1.25)
    progress.explain(error)
    told = capsys.readouterr().err
    assert "✗ it [bold]: `mount [/dev/x] [red]` ended with code 1. (1.2 s)" in told
    assert told.endswith("    [/etc]\n  → [see] there\n")


def test_progress_counts_what_was_as_it_should_be(capsys, shown):
    for name, changed in (("a", True), ("b", False)):
        step = Step(name=name, act=lambda: True, kind="service")
        shown.began(step)
        shown.ended(step, seconds=0, changed=changed)
    assert (shown.checked, shown.unchanged) == (2, 1)
    told = capsys.readouterr().err
    assert "✓ a ready" in told
    assert "✓ b as it should be" in told


def test_a_pipe_hears_only_of_what_failed(capsys):
    quiet = progress.Progress(verbose=False)
    for name, changed in (("a", True), ("b", False)):
        step = Step(name=name, act=lambda: True)
        quiet.began(step)
        quiet.ended(step, seconds=0, changed=changed)
    assert capsys.readouterr().err == ""
    quiet.began(step)
    quiet.failed(step, NovaDockerError("It broke."), seconds=0)
    quiet.close()
    assert "✗ b: It broke." in capsys.readouterr().err
    assert (quiet.checked, quiet.unchanged) == (2, 1)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_shell_learns_the_verbs(monkeypatch, capsys, shell):
    monkeypatch.setattr(BashComplete, "_check_version", staticmethod(lambda: None))  # it asks bash
    code, out, _ = _main(monkeypatch, capsys, "completion", shell)
    assert code == 0
    assert "_NOVA_DOCKER_COMPLETE" in out


def test_a_shell_is_told_verbs_and_services(monkeypatch, folders):
    def asked(*words: str) -> list[str]:
        found = ShellComplete(main.cli, {}, "nova-docker", "_NOVA_DOCKER_COMPLETE")
        return [one.value for one in found.get_completions([*folders, *words[:-1]], words[-1])]

    assert "completion" in asked("co")
    assert asked("logs", "neutron") == []
    cloud = clouds.cloud()
    monkeypatch.setattr("novadocker.host.cloud.recall", lambda _: cloud)
    assert "neutron" in asked("logs", "neutr")


def test_every_verb_is_a_click_command():
    assert all(isinstance(each, click.Command) for each in main.cli.commands.values())
