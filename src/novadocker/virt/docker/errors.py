# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""The driver's errors. Each room raises these; the adapter turns them into Nova's, once."""

from collections.abc import Iterator
from contextlib import contextmanager

from novadocker.errors import NovaDockerError


class EngineError(NovaDockerError):
    """The Docker daemon refused or failed."""


class EngineUnreachable(EngineError):
    """The Docker daemon does not answer."""


class NotFound(EngineError):
    """The daemon has no such container or image."""


class Busy(EngineError):
    """The daemon cannot do it just now, or the container is in the wrong state for it."""


class ReadOnlyRoot(EngineError):
    """The container's root disk cannot be written: its flavor says so."""


class ImageRejected(NovaDockerError):
    """A Glance image that cannot become a container."""


class DiskChanged(NovaDockerError):
    """A disk that should stand still did not."""


class UploadIncomplete(NovaDockerError):
    """The image service has less than the whole image."""


class SettingRejected(NovaDockerError):
    """Something asked for with a server that its container cannot have."""


class ProcessFailed(NovaDockerError):
    """A server's process could not be started, or ended at once with an error."""


class StorageError(NovaDockerError):
    """The storage refused a folder, or has no way to hold one to a size."""


class ConfigurationError(NovaDockerError):
    """What this host is told of itself cannot be."""


class PortNotReady(NovaDockerError):
    """A port was not bound, or did not work in time."""


class SwitchUnreachable(NovaDockerError):
    """The Open vSwitch database does not answer."""


class ServiceError(NovaDockerError):
    """Neutron did not answer a question."""


class LinkError(NovaDockerError):
    """The kernel refused a network device or setting."""


class DiskLost(NovaDockerError):
    """A server's disk is not where it should be."""


class NotMoved(NovaDockerError):
    """A server could not leave, and is as it was before."""


@contextmanager
def explained(doing: str, *, kinds: tuple[type[Exception], ...] = (OSError,)) -> Iterator[None]:
    """Turn the kernel's errors into a LinkError that says what was being done."""
    try:
        yield
    except kinds as error:
        # In one sentence: the privileged daemon sends back an error's class and plain arguments.
        raise LinkError(f"Could not {doing}: {error}.") from error
