# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""One layer of an image, judged before anybody unpacks it: where its files would go and what they take.

The daemon refuses paths outside of a layer by itself; here its owner is told so in words, and what fills a
disk is stopped before it does.
"""

from dataclasses import dataclass

from novadocker.virt.docker import packing, tarball
from novadocker.virt.docker.tarball import Entry, Source, Tarball

# Files of all layers of one image; large ones have some 300 000.
_MOST_FILES = 1_000_000
_CHUNK = 1 << 20


class TooMuch(Exception):
    """More has come out of a stream than was allowed."""


class Meter:
    """Bytes, counted until there are too many."""

    def __init__(self, *, most: int) -> None:
        self._most = most
        self.count = 0

    def add(self, size: int) -> None:
        """Count some more; raises TooMuch when they are more than allowed."""
        self.count += size
        if self.count > self._most:
            raise TooMuch


class Metered:
    """A source that ends with TooMuch when more has come out of it than allowed."""

    def __init__(self, source: Source, *, most: int) -> None:
        self._source = source
        self.meter = Meter(most=most)

    def read(self, size: int, /) -> bytes:
        """Return the next bytes."""
        found = self._source.read(size)
        self.meter.add(len(found))
        return found


def drain(source: Source) -> None:
    """Read a source to its end."""
    while source.read(_CHUNK):
        pass


def whole(source: Source) -> bytes:
    """Return all of a source."""
    return b"".join(iter(lambda: source.read(_CHUNK), b""))


@dataclass(frozen=True, kw_only=True)
class Layer:
    """A layer.

    :ivar size: bytes its files take, and at least their names.
    :ivar read: bytes of it as a tar archive, unpacked: all of them for a sound one, else until its fault.
    :ivar fault: why no image may have it; empty for a sound one.
    """

    size: int
    read: int
    fault: str = ""


def walk(source: Source, *, most: int) -> Layer:
    """Read a layer to its end, or to what is wrong with it.

    :param most: bytes its content may take.
    """
    metered = Metered(source, most=most + (most >> 3) + _CHUNK)  # headers and padding come on top
    taken, fault = Meter(most=most), ""
    try:
        for number, entry in enumerate(Tarball(metered)):
            taken.add(max(entry.size, tarball.BLOCK))
            fault = _fault(entry) or ("It has more files than any" if number > _MOST_FILES else "")
            if fault:
                break
        else:
            # What follows the archive's end belongs to the layer as the daemon counts it.
            drain(metered)
    except TooMuch:
        taken.count = most + 1
    except tarball.TarTruncated:
        fault = "Its archive is damaged: a layer is cut short"
    except (tarball.TarError, *packing.DAMAGED):
        fault = "Its archive is damaged: a layer cannot be read"
    return Layer(size=taken.count, read=metered.meter.count, fault=fault)


def _fault(entry: Entry) -> str:
    name = entry.name[:100]
    if name.startswith("/"):
        return f"A layer of it names an absolute path: {name}"
    if ".." in name.split("/"):
        return f"A layer of it names a path outside of itself: {name}"
    if entry.kind == tarball.DEVICE:
        return f"A layer of it holds a device, which a server gets from its host only: {name}"
    if entry.kind == tarball.HARDLINK and (entry.link.startswith("/") or ".." in entry.link.split("/")):
        return f"A layer of it links to a file outside of itself: {entry.link[:100]}"
    if entry.kind == tarball.UNKNOWN:
        return f"A layer of it holds something no file system has: {name}"
    return ""
