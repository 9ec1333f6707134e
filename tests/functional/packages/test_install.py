# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""packages/install on a real dpkg and apt, with packages that do what Debian's daemons do."""

import subprocess
from pathlib import Path

import pytest
from tests.functional.packages.debian import Debian, build, index

INSTALL = "/project/packages/install --list /list"
# This machine may have one of its own; what matters is that it is the same before and after.
POLICY = "cat /usr/sbin/policy-rc.d 2>/dev/null | sha256sum"

# What would be there had the daemon started, been left to start at the next boot, or had we not tidied up.
TRACES = (
    "/started /etc/systemd/system/multi-user.target.wants/ndk-test-daemon.service "
    "/etc/rc2.d/S*ndk-test-daemon /var/lib/misc/nova-docker-packages-before"
)


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("repository")
    for name in ("ndk-test-daemon", "ndk-test-other"):
        build(folder, name, daemon=True)
    build(folder, "ndk-test-tool")
    build(folder, "ndk-test-tool", version="2")
    index(folder)
    return folder


@pytest.fixture
def debian(tmp_path: Path, repository: Path) -> Debian:
    space = tmp_path / "space"
    space.mkdir()
    return Debian(space, repository)


def lines(done: subprocess.CompletedProcess[str]) -> list[str]:
    return done.stdout.strip().splitlines()


@pytest.mark.parametrize(
    "before", [pytest.param(":", id="systemd"), pytest.param("rm /usr/bin/systemctl", id="none")]
)
def test_a_daemon_comes_in_and_does_not_start(debian: Debian, before: str) -> None:
    said = debian.run(
        f"""
        echo ndk-test-daemon >/list; rm -f /usr/sbin/policy-rc.d; {before}
        {INSTALL} >/log 2>&1 || cat /log
        dpkg-query -W -f '${{db:Status-Status}}\n' ndk-test-daemon
        ls {TRACES} /usr/sbin/policy-rc.d* 2>/dev/null
        """,
        check=False,
    )
    assert lines(said) == ["installed"], "neither started, nor enabled, and nothing of ours left"


def test_the_package_would_start_otherwise(debian: Debian) -> None:
    said = debian.run(
        "rm -f /usr/sbin/policy-rc.d; dpkg -i /repository/ndk-test-daemon*.deb >/log 2>&1; cat /started"
    )
    assert lines(said) == ["ndk-test-daemon start"], said.stderr


def test_a_second_run_asks_nobody(debian: Debian) -> None:
    said = debian.run(
        f"echo ndk-test-daemon >/list; {INSTALL} >/dev/null 2>&1; rm /usr/bin/apt-get; {INSTALL}"
    )
    assert lines(said) == ["packages: all there"]


def test_what_the_user_had_stays_as_it_was(debian: Debian) -> None:
    said = debian.run(
        f"""
        printf '%s\n' ndk-test-daemon ndk-test-tool ndk-test-other >/list
        echo '#!/bin/sh' >/usr/sbin/policy-rc.d; echo '# the user'"'"'s' >>/usr/sbin/policy-rc.d
        chmod 700 /usr/sbin/policy-rc.d
        dpkg -i /repository/ndk-test-tool_1_all.deb /repository/ndk-test-other*.deb >/log 2>&1
        {INSTALL} >>/log 2>&1 || cat /log
        dpkg-query -W -f '${{Version}}\n' ndk-test-tool
        ls /etc/systemd/system/multi-user.target.wants | grep ndk-test
        ls /etc/rc2.d | grep -o 'S.*ndk-test.*' | tr -d 0-9
        tail -n 1 /usr/sbin/policy-rc.d; stat -c %a /usr/sbin/policy-rc.d
        """
    )
    assert lines(said) == ["1", "ndk-test-other.service", "Sndk-test-other", "# the user's", "700"]


def test_an_alternative_the_user_has_will_do(debian: Debian) -> None:
    said = debian.run(
        f"""
        echo 'ndk-test-daemon | ndk-test-tool  # a comment' >/list
        {INSTALL} --check || true
        dpkg -i /repository/ndk-test-tool_1_all.deb >/dev/null 2>&1
        {INSTALL} --check && echo satisfied
        """
    )
    assert lines(said) == ["ndk-test-daemon", "satisfied"]


def test_the_users_are_made_with_numbers_for_containers(debian: Debian) -> None:
    said = debian.run(
        f"""
        echo ndk-test-tool >/list; userdel nova-docker 2>/dev/null; printf 'root:900000:65536\n' >/etc/subuid
        cp /etc/subuid /etc/subgid
        {INSTALL} >/dev/null 2>&1
        getent passwd nova-docker | cut -d: -f6,7; grep nova-docker /etc/subuid /etc/subgid
        """
    )
    assert lines(said) == [
        "/nonexistent:/usr/sbin/nologin",
        "/etc/subuid:nova-docker:965536:65536",
        "/etc/subgid:nova-docker:965536:65536",
    ]


def test_a_package_nobody_has_is_an_error_that_names_it(debian: Debian) -> None:
    done = debian.run(
        f"""
        echo ndk-test-nowhere >/list; {POLICY} >/before
        {INSTALL} >/dev/null; code=$?
        {POLICY} | diff /before - && exit $code
        """,
        check=False,
    )
    assert done.returncode == 1
    assert "could not install ndk-test-nowhere" in done.stderr


@pytest.mark.parametrize("signal", ["INT", "TERM", "KILL"])
def test_a_killed_run_is_put_right_by_the_next(debian: Debian, signal: str) -> None:
    said = debian.run(
        f"""
        echo ndk-test-daemon >/list; {POLICY} >/before; touch /hold
        set -m
        {INSTALL} >/log 2>&1 &
        until [ -e /held ]; do kill -0 %1 || {{ cat /log; exit 1; }}; sleep 0.05; done
        kill -{signal} -- -$!; wait
        rm /hold
        {INSTALL} >>/log 2>&1 || cat /log
        {POLICY} | diff /before -
        dpkg-query -W -f '${{db:Status-Status}}\n' ndk-test-daemon
        ls {TRACES} /usr/sbin/policy-rc.d.* 2>/dev/null
        """,
        check=False,
    )
    assert lines(said) == ["installed"], said.stderr
