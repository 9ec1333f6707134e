# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""What the driver leans on in Nova beyond what drivers are promised: the next release fails here first."""

import inspect
from collections.abc import Callable
from typing import Any

import pytest
from nova import exception
from nova.compute import manager
from nova.compute import utils as compute_utils
from nova.image import glance
from nova.network import neutron
from nova.objects import diagnostics, fields, instance, migration, request_spec
from nova.virt import configdrive, driver, event, hardware

from novadocker.virt.docker import DockerDriver

# Each with the arguments we give it, by name or in this order.
CALLED: dict[str, tuple[Callable[..., Any], str]] = {
    "ports are bound by": (neutron.API.setup_instance_network_on_host, "self context instance host"),
    "neutron's client": (neutron.get_client, "context admin"),
    "the wait for events": (
        manager.ComputeVirtAPI.wait_for_instance_event,
        "self instance event_names deadline=timeout error_callback",
    ),
    "overcommit": (driver.ComputeDriver._get_allocation_ratios, "inventory"),
    "disk kept back": (driver.ComputeDriver._get_reserved_host_disk_gb_from_config, ""),
    "an image's download": (glance.API.download, "self context id_or_uri data trusted_certs"),
    "an image's record": (glance.API.update, "self context id_or_uri image_info data"),
    "a server's grace": (
        compute_utils.get_value_from_system_metadata,
        "instance key type default",
    ),
    "config drives": (configdrive.required_by, "instance"),
    "pinned processors": (hardware.get_cpu_dedicated_set, ""),
    "shared processors": (hardware.get_cpu_shared_set, ""),
    "a server's ports": (instance.Instance.get_network_info, "self"),
    "a migration": (migration.Migration.get_by_id, "context migration_id"),
    "a request": (request_spec.RequestSpec.get_by_instance_uuid, "context instance_uuid"),
    "a server's record": (instance.Instance.get_by_uuid, "context uuid expected_attrs"),
    "lifecycle events": (event.LifecycleEvent.__init__, "self uuid transition"),
}


@pytest.mark.parametrize("what", CALLED)
def test_what_we_call_takes_what_we_give(what: str) -> None:
    called, arguments = CALLED[what]
    known = inspect.signature(called).parameters
    for wanted in arguments.split():
        assert any(name in known for name in wanted.split("=")), f"{called.__qualname__}: {list(known)}"


def test_the_manager_s_network_api_is_where_the_binding_is_redirected() -> None:
    # The driver is given the manager's ComputeVirtAPI, which keeps the manager as `_compute`.
    made = inspect.getsource(manager.ComputeVirtAPI.__init__)
    assert "self._compute = compute" in made
    assert "self.network_api = " in inspect.getsource(manager.ComputeManager.__init__)


def test_the_manager_asks_the_driver_where_to_bind_and_elsewhere_binds_to_its_host() -> None:
    # The two places that ask, and those the redirection is for.
    source = inspect.getsource(manager.ComputeManager)
    assert source.count("self.driver.network_binding_host_id(") == 2
    assert source.count("setup_instance_network_on_host(") == 4


OURS = sorted(
    name
    for name in dir(DockerDriver)
    if not name.startswith("_")
    and callable(getattr(driver.ComputeDriver, name, None))
    and getattr(DockerDriver, name) is not getattr(driver.ComputeDriver, name)
)


def test_our_methods_are_found() -> None:
    assert {"spawn", "destroy", "reboot", "snapshot", "cache_image"} <= set(OURS)


@pytest.mark.parametrize("method", OURS)
def test_our_methods_take_what_nova_gives_its_drivers(method: str) -> None:
    theirs = inspect.signature(getattr(driver.ComputeDriver, method)).parameters
    ours = inspect.signature(getattr(DockerDriver, method)).parameters
    assert list(theirs) == list(ours)


def test_faults_with_words_end_a_build_and_others_go_elsewhere() -> None:
    # ImageUnacceptable becomes a BuildAbortException, which keeps its words and is not rescheduled.
    source = inspect.getsource(manager.ComputeManager._build_and_run_instance)
    refused = source[source.index("exception.ImageUnacceptable") :]
    assert "BuildAbortException" in refused
    assert "reschedul" not in refused[: refused.index("BuildAbortException")].lower()
    assert {"instance_uuid", "reason"} <= {
        word for word in ("instance_uuid", "reason") if f"%({word})s" in exception.BuildAbortException.msg_fmt
    }


def test_no_driver_may_call_itself_docker_in_diagnostics() -> None:
    # When this fails, `driver` in the driver's diagnostics can be set.
    assert "docker" not in fields.HypervisorDriver.ALL
    assert "driver" in diagnostics.Diagnostics.fields


def test_image_cache_and_pre_caching_are_asked_as_we_answer() -> None:
    source = inspect.getsource(manager.ComputeManager)
    assert "self.driver.manage_image_cache(context, filtered_instances)" in source
    assert "cached = self.driver.cache_image(context, image_id)" in source
    assert 'capabilities.get("has_imagecache"' in source
