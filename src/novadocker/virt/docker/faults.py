# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""Our errors become Nova's, once, at the edge of the driver.

While a server is being built, only some exceptions reach its owner in words. BuildAbortException does, and
ends the build; ImageUnacceptable is turned into one. VirtualInterfaceCreateException loses its words,
PortBindingFailed and everything unknown reschedule and end as "Exhausted all hosts"
(nova/compute/manager.py, _build_and_run_instance).
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from nova import exception

from novadocker.errors import NovaDockerError
from novadocker.virt.docker.errors import ImageRejected, NotMoved

# A fault holds 255 characters (nova/compute/utils.py), of which Nova's own words around ours take 72.
_ROOM = 180


def words(error: NovaDockerError) -> str:
    """Return as much of an error as a fault holds: summary, facts, and the hint where it fits."""
    text = " ".join(part for part in (error.summary, error.facts) if part)
    if error.hint and len(text) + 1 + len(error.hint) <= _ROOM:
        text = f"{text} {error.hint}"
    return text if len(text) <= _ROOM else text[: _ROOM - 1] + "…"


@contextmanager
def building(instance: Any, image_id: str | None, *, refused: Callable[[], str]) -> Iterator[None]:
    """Make every failure of a build end it, with its cause in the server's fault.

    :param refused: says why Neutron refused to bind a port, which itself only says that it did.
    """
    try:
        yield
    except ImageRejected as error:
        raise exception.ImageUnacceptable(image_id=image_id, reason=words(error)) from error
    except NovaDockerError as error:
        raise exception.BuildAbortException(instance_uuid=instance.uuid, reason=words(error)) from error
    except (exception.ImageNotFound, exception.ImageNotAuthorized, exception.GlanceConnectionFailed) as error:
        reason = f"Its image cannot be fetched: {error.format_message()}"[:_ROOM]
        raise exception.BuildAbortException(instance_uuid=instance.uuid, reason=reason) from error
    except exception.PortBindingFailed as error:
        reason = words(NovaDockerError(error.format_message().split(",")[0] + ".", facts=refused()))
        raise exception.BuildAbortException(instance_uuid=instance.uuid, reason=reason) from error


@contextmanager
def translated(kind: Callable[..., Exception]) -> Iterator[None]:
    """Raise our errors as one of Nova's: `kind` takes the words as `reason`."""
    try:
        yield
    except NovaDockerError as error:
        raise kind(reason=str(error)) from error


@contextmanager
def leaving() -> Iterator[None]:
    """Let Nova put a server back as it was whose move did not begin."""
    try:
        yield
    except NotMoved as error:
        raise exception.InstanceFaultRollback(exception.ResizeError(reason=words(error))) from error


def failed(*, reason: str) -> Any:
    """Return Nova's general exception with our words."""
    return exception.NovaException(reason)


def plug_failed(*, reason: str) -> Any:
    """Return Nova's exception for a port not plugged; its own format has no room for a reason."""
    return exception.VirtualInterfacePlugException(reason)
