# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""Tags of a server's devices, where the metadata service and the config drive look for them.

A VM's owner learns by them which PCI address an interface has; a container's, by its MAC address alone, since
its interfaces are on no bus: the list says `none` for it (nova/api/metadata/base.py, _get_device_metadata).
"""

from typing import Any

from nova import objects
from oslo_concurrency import lockutils


def describe(context: Any, instance: Any) -> None:
    """Write what is tagged of a server into its record: its ports, and its root disk."""
    with _lock(instance):
        _describe(context, instance)


def _describe(context: Any, instance: Any) -> None:
    ports = objects.VirtualInterfaceList.get_by_instance_uuid(context, instance.uuid)
    disks = objects.BlockDeviceMappingList.get_by_instance_uuid(context, instance.uuid)
    devices = [
        *(objects.NetworkInterfaceMetadata(mac=one.address, tags=[one.tag]) for one in ports if _tagged(one)),
        *(objects.DiskMetadata(path="/", tags=[one.tag]) for one in disks if _tagged(one) and one.is_image),
    ]
    if devices or instance.device_metadata is not None:
        _write(instance, devices)


def forget(context: Any, instance: Any, mac: str) -> None:
    """Take a port that is detached out of what `describe` has written.

    Out of the record as it is now: the one given here was read when the request came, and another port may
    have been detached since.
    """
    if instance.device_metadata is None:
        return
    with _lock(instance):
        now = objects.Instance.get_by_uuid(context, instance.uuid, expected_attrs=["device_metadata"])
        devices = now.device_metadata.devices if now.device_metadata else []
        left = [one for one in devices if getattr(one, "mac", None) != mac]
        if len(left) < len(devices):
            _write(instance, left)


def _write(instance: Any, devices: list[Any]) -> None:
    written = objects.InstanceDeviceMetadata(devices=devices)
    # What is marked as changed in it is stored with it: whoever reads the server would write it again with
    # the next save, over what another has changed meanwhile.
    written.obj_reset_changes(recursive=True)
    instance.device_metadata = written
    instance.save()
    instance.obj_reset_changes(fields=["device_metadata"])


def _lock(instance: Any) -> Any:
    """Nova locks by port: two of a server's ports may be detached at once, and the record is one."""
    return lockutils.lock(f"nova-docker-tags-{instance.uuid}")


def _tagged(one: Any) -> bool:
    return "tag" in one and bool(one.tag)
