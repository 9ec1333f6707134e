# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""What each tier may touch, as a pytest plugin.

A test's folder is its tier and gives it the tier's marker. Unit tests, and contract tests of the fakes,
open no socket and start no process: an audit hook sees both, from C code too. With CI set, or --require, a
skipped test is a failure unless its reason says what the machine cannot do: "machine cannot: run KVM".
"""

import os
import sys
from collections.abc import Generator
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parent
MARKED_TIERS = ("functional", "integration", "e2e")
ALLOWED_SKIP = "machine cannot: "
OUTSIDE = frozenset(
    {
        "socket.__new__",
        "subprocess.Popen",
        "os.system",
        "os.exec",
        "os.fork",
        "os.forkpty",
        "os.posix_spawn",
        "os.spawn",
    }
)


class Guard:
    """Makes sockets and processes fail while a test runs that may have none."""

    def __init__(self) -> None:
        self.closed = False
        sys.addaudithook(self._see)

    def _see(self, event: str, arguments: tuple[object, ...]) -> None:
        if self.closed and event in OUTSIDE:
            # Not an Exception: no "except Exception" of the code under test may swallow it.
            pytest.fail(f"a unit test reached outside its process: {event}{arguments!r:.200}", pytrace=True)


# Audit hooks cannot be removed: one for the process.
GUARD = Guard()


def tier_of(path: Path) -> str:
    """Return the name of the folder below tests/ that a file is in."""
    return path.relative_to(TESTS).parts[0] if path.is_relative_to(TESTS) else ""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--require",
        action="store_true",
        default=bool(os.environ.get("CI")),
        help="a skipped test is a failure (as with CI set), unless its reason begins with 'machine cannot: '",
    )


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        tier = tier_of(item.path)
        if tier in MARKED_TIERS:
            item.add_marker(tier)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    # Around set-up and tear-down too: fixtures of every scope are held to the tier's rule.
    GUARD.closed = tier_of(item.path) in ("unit", "contract") and not any(
        item.get_closest_marker(tier) for tier in MARKED_TIERS
    )
    try:
        return (yield)
    finally:
        GUARD.closed = False


def _forbidden_skip(config: pytest.Config, report: pytest.TestReport | pytest.CollectReport) -> str | None:
    if not config.getoption("--require") or not report.skipped or hasattr(report, "wasxfail"):
        return None
    reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    reason = reason.removeprefix("Skipped: ")
    if reason.startswith(ALLOWED_SKIP):
        return None
    return f"skipped where nothing may be: {reason or 'no reason given'}"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if refused := _forbidden_skip(item.config, report):
        report.outcome, report.longrepr = "failed", refused
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    report = yield
    if refused := _forbidden_skip(collector.config, report):
        report.outcome, report.longrepr = "failed", refused
    return report
