# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""Plain Nova loads the driver by the article's line, wherever Nova and nova-docker live."""

import json
import subprocess
import zipfile
from pathlib import Path

import pytest
from tests.functional.loading.environments import PROJECT, Environment, build_wheel, nova_without_ours

pytestmark = pytest.mark.functional

# What nova-compute does with compute_driver, and where the pieces came from.
LOAD = """
import json, sys
from nova import conf, objects
from nova.virt import driver
conf.CONF([], project="nova", default_config_files=[], default_config_dirs=[])
objects.register_all()
loaded = driver.load_compute_driver(None, "novadocker.virt.docker.DockerDriver")
print(json.dumps({
    "class": f"{type(loaded).__module__}.{type(loaded).__name__}",
    "nova": driver.__file__,
    "ours": sys.modules["novadocker"].__file__,
    "tree": sys.modules["nova.virt.novadocker"].__file__,
}))
"""


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_wheel(tmp_path_factory.mktemp("wheel"))


@pytest.fixture
def environment(tmp_path: Path) -> Environment:
    return Environment.create(tmp_path / "venv")


@pytest.fixture
def nova(tmp_path: Path) -> Path:
    """A site-packages with Nova and without us."""
    return nova_without_ours(tmp_path / "dist-packages")


def load(environment: Environment, **variables: str) -> dict[str, Path]:
    found = json.loads(environment.run(LOAD, **variables).splitlines()[-1])
    assert found.pop("class").startswith("novadocker.virt.docker")
    return {name: Path(path).resolve() for name, path in found.items()}


def test_the_wheel_adds_to_novas_tree_and_replaces_nothing(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    in_nova = sorted(name for name in names if name.startswith("nova/"))
    assert in_nova == [
        "nova/virt/novadocker/__init__.py",
        "nova/virt/novadocker/virt/__init__.py",
        "nova/virt/novadocker/virt/docker.py",
        "nova/virt/novadocker/virt/nothing.py",
    ]
    assert "nova-docker-loader.pth" in names


def test_beside_nova(wheel: Path, environment: Environment) -> None:
    nova_without_ours(environment.site_packages)
    environment.install(wheel)
    (environment.site_packages / "nova-docker-loader.pth").unlink()  # not needed here, and this shows it
    tree = load(environment)["tree"]
    assert tree == environment.site_packages / "nova/virt/novadocker/__init__.py"


def test_nova_elsewhere(wheel: Path, environment: Environment, nova: Path) -> None:
    environment.see(nova)
    environment.install(wheel)
    assert load(environment)["tree"].is_relative_to(environment.site_packages)


def test_nova_first_on_the_path(wheel: Path, environment: Environment, nova: Path) -> None:
    environment.install(wheel)
    assert load(environment, PYTHONPATH=str(nova))["tree"].is_relative_to(environment.site_packages)


def test_ours_in_a_folder_of_its_own(wheel: Path, environment: Environment, tmp_path: Path) -> None:
    nova_without_ours(environment.site_packages)
    apart = tmp_path / "opt"
    environment.install("--target", str(apart), wheel)
    addsitedir = f"import site; site.addsitedir({str(apart)!r})\n"
    (environment.site_packages / "nova-docker-apart.pth").write_text(addsitedir)
    assert load(environment)["tree"].is_relative_to(apart)


def test_a_checkout(environment: Environment, nova: Path) -> None:
    environment.see(nova)
    environment.install("--editable", PROJECT)
    found = load(environment)
    assert found["ours"] == PROJECT / "src/novadocker/__init__.py"
    assert found["tree"].is_relative_to(PROJECT / "src")


def modules(environment: Environment) -> set[str]:
    return set(json.loads(environment.run("import sys, json; print(json.dumps(list(sys.modules)))")))


def test_every_start_of_python_loads_one_small_module_more(wheel: Path, environment: Environment) -> None:
    before = modules(environment)
    environment.install(wheel)
    assert modules(environment) - before == {"novadocker_loader"}


def test_without_nova_nothing_happens(wheel: Path, environment: Environment) -> None:
    environment.install(wheel)
    assert environment.run("import importlib.util as u; print(u.find_spec('nova.virt.libvirt'))") == "None"


def test_a_leftover_loader_is_silent(wheel: Path, environment: Environment) -> None:
    environment.install(wheel)
    subprocess.run(["rm", "-r", environment.site_packages / "novadocker_loader.py"], check=True)
    assert environment.run("print('started')") == "started"
