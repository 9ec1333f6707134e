# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""The scheduler filter that keeps containers and virtual machines apart, with no image property set.

A Glance image of ``container_format=docker`` is an archive of `docker save`: only a docker host can run it,
and it runs nothing else. A new server is what its image is. A server that exists stays what it is, whatever
its request says by now: a refused rebuild leaves the refused image in the saved request
(nova/compute/api.py, `rebuild`, saves it before the scheduler is asked and nothing takes it back), and a
request of a volume-backed server names no format.

Hosts forced by an administrator (``--availability-zone zone:host``) see no filter at all, so the driver
looks too.
"""

from collections.abc import Iterable, Iterator
from enum import Enum
from typing import Any

from nova import context as nova_context
from nova import exception, objects
from nova.scheduler import filters, utils
from oslo_log import log as logging

LOG = logging.getLogger(__name__)


class Kind(Enum):
    """What a server is, by the hypervisors that can run it."""

    CONTAINER = "container"
    MACHINE = "virtual machine"


def kind_of_image(image: Any) -> Kind | None:
    """Tell the kind by the image's container format; None where the image names no format.

    :param image: an ImageMeta or None.
    """
    if not image or "container_format" not in image or not image.container_format:
        return None
    return Kind.CONTAINER if image.container_format.lower() == "docker" else Kind.MACHINE


def kind_of_hypervisor(hypervisor_type: str | None) -> Kind | None:
    """Tell the kind a hypervisor runs; None for a host that has not reported itself yet."""
    if not hypervisor_type:
        return None
    return Kind.CONTAINER if hypervisor_type.lower() == "docker" else Kind.MACHINE


def kind_of_server(spec: Any) -> Kind | None:
    """Tell what the server of a move, an unshelve or a rebuild is now; None for one that is yet to be built.

    The conductor names a cell in the destination of just these requests, so a new server costs no query.

    :param spec: a RequestSpec.
    """
    destination = spec.requested_destination if "requested_destination" in spec else None
    if not destination or "cell" not in destination:
        return None
    context = nova_context.get_admin_context()
    try:
        # A move between cells leaves the destination's cell open, on purpose.
        cell = destination.cell or _cell_of(context, spec.instance_uuid)
        with nova_context.target_cell(context, cell) as in_cell:
            instance = objects.Instance.get_by_uuid(in_cell, spec.instance_uuid)
            if not instance.host:
                return kind_of_image(instance.image_meta)
            node = objects.ComputeNode.get_by_host_and_nodename(in_cell, instance.host, instance.node)
    except exception.NotFound as gone:
        # Deleted meanwhile, or its dead host's record was removed: the image decides.
        LOG.info("Cannot tell what server %s runs on: %s", spec.instance_uuid, gone)
        return None
    return kind_of_hypervisor(node.hypervisor_type)


def _cell_of(context: Any, instance_uuid: str) -> Any:
    return objects.InstanceMapping.get_by_instance_uuid(context, instance_uuid).cell_mapping


class ImageKindFilter(filters.BaseHostFilter):  # type: ignore[misc]
    """Pass docker hosts for containers and all the others for virtual machines."""

    # A rebuild brings a new image to the host the server is on: the moment to refuse one of the other kind.
    RUN_ON_REBUILD = True
    run_filter_once_per_request = True

    def filter_all(self, filter_obj_list: Iterable[Any], spec_obj: Any) -> Iterator[Any]:
        """Decide once what the server is, then yield the hosts that can run it.

        :param filter_obj_list: HostState of each candidate.
        :param spec_obj: the RequestSpec.
        """
        wanted = self._wanted(spec_obj)
        for host_state in filter_obj_list:
            if self._runs(host_state, wanted):
                yield host_state

    def host_passes(self, host_state: Any, filter_properties: Any) -> bool:
        """Tell whether one host can run the server of one request.

        :param host_state: a HostState.
        :param filter_properties: the RequestSpec.
        """
        return self._runs(host_state, self._wanted(filter_properties))

    @staticmethod
    def _wanted(spec: Any) -> Kind:
        by_image = kind_of_image(spec.image if "image" in spec else None)
        if utils.request_is_rebuild(spec):
            return by_image or Kind.MACHINE
        # No format anywhere: a new server from a volume, which no container can be.
        return kind_of_server(spec) or by_image or Kind.MACHINE

    @staticmethod
    def _runs(host_state: Any, wanted: Kind) -> bool:
        runs = kind_of_hypervisor(host_state.hypervisor_type)
        if runs is not wanted:
            LOG.debug("%s runs %s, the server is a %s", host_state, runs and runs.value, wanted.value)
        return runs is wanted
