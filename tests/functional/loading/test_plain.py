# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""`pip install nova`, our wheel, the rendered lines: Nova finds filter and validators by itself."""

import json
import os
import subprocess
from pathlib import Path

import pytest
from tests.fakes import compute_hosts
from tests.functional.loading.environments import PROJECT, build_wheel

from novadocker.host.overlay import decide, papers
from novadocker.host.overlay.model import Wanted

pytestmark = [pytest.mark.functional, pytest.mark.timeout(600)]

# What nova-scheduler does at its start (nova/scheduler/host_manager.py, HostManager.__init__).
FILTERS = """
import json, sys
import nova.conf
from nova.scheduler import filters, host_manager
told = {"default_config_files": [], "default_config_dirs": []}
nova.conf.CONF(["--config-file", sys.argv[1]], project="nova", **told)
for asks_the_database in ("refresh_cells_caches", "_init_aggregates", "_init_instance_info"):
    setattr(host_manager.HostManager, asks_the_database, lambda self: None)
print(json.dumps([type(each).__name__ for each in host_manager.HostManager().enabled_filters]))
"""
# What nova-api does at its start (nova/api/openstack/compute/routes.py loads the validators).
VALIDATORS = """
import json
from nova.api.validation.extra_specs import validators
validators.load_validators()
refused = []
for value in ("true", "perhaps"):
    try:
        validators.validate("docker:no_new_privileges", value)
    except Exception as error:
        refused.append([value, type(error).__name__])
print(json.dumps(refused))
"""


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    """The plain environment with our wheel, installed as an operator installs it, from no index."""
    subprocess.run([PROJECT / "make/environment", "plain"], check=True)
    python = PROJECT / "build/plain/bin/python"
    pip = [python, "-m", "pip", "--disable-pip-version-check"]
    subprocess.run([*pip, "uninstall", "--yes", "nova-docker"], check=True, capture_output=True)
    wheel = build_wheel(tmp_path_factory.mktemp("wheel"))
    subprocess.run([*pip, "install", "--no-index", wheel], check=True, capture_output=True)
    yield python
    subprocess.run([*pip, "uninstall", "--yes", "nova-docker"], check=True, capture_output=True)


def _run(python: Path, code: str, *words: str | Path) -> list:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    done = subprocess.run(
        [python, "-W", "ignore", "-c", code, *words],
        env=inherited,
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_it_has_nothing_of_the_composer(plain):
    code = (
        "import importlib.util as u, json; "
        "print(json.dumps([n for n in ('supervisor', 'waitress', 'click', 'libvirt') if u.find_spec(n)]))"
    )
    assert _run(plain, code) == []


def test_the_rendered_lines_bring_the_filter_beside_all_others(plain, tmp_path):
    found = papers.write(decide.decide(Wanted(), compute_hosts.seen()))
    lines = next(file.content for file in found.files if file.name == "scheduler.conf.add")
    (tmp_path / "nova.conf").write_text(lines)
    assert _run(plain, FILTERS, tmp_path / "nova.conf") == [*decide.USUAL_FILTERS, "ImageKindFilter"]


def test_nova_s_own_filters_are_those_we_add_to(plain, tmp_path):
    (tmp_path / "nova.conf").write_text("")
    assert _run(plain, FILTERS, tmp_path / "nova.conf") == list(decide.USUAL_FILTERS)


def test_nova_api_checks_what_flavors_say(plain):
    assert _run(plain, VALIDATORS) == [["perhaps", "ValidationError"]]


def test_the_command_says_what_it_lacks(plain):
    done = subprocess.run(
        [plain.with_name("nova-docker"), "render"], check=False, capture_output=True, text=True
    )
    assert done.returncode == 1
    assert "nova-docker[host]" in done.stderr
    assert "Traceback" not in done.stderr
