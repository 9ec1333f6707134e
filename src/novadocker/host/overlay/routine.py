# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""The steps from the files to a docker host, each with its check and its undo: pure."""

import shlex
from collections.abc import Iterable, Iterator

from novadocker import extra_specs
from novadocker.host.overlay import model
from novadocker.host.overlay.decide import FILTER, Decided
from novadocker.host.overlay.model import CLIENT, CONTROLLER, SCHEDULERS, Command, Rendered, Step

_LOADS = "import nova.virt.novadocker.virt.docker as found; print(found.DockerDriver.__name__)"
_VALIDATES = (
    "from nova.api.validation.extra_specs import validators as found; "
    "found.load_validators(); print(*sorted(found.VALIDATORS))"
)


def steps(it: Decided, files: Iterable[Rendered]) -> list[Step]:
    """All of them, in order; the last is the proof."""
    places = {file.name: file for file in files}
    found = [_package(it), _controllers(it), _scheduler(it)]
    if it.moved_id:
        found.append(_identity(it))
    if it.division.libvirt:
        found.append(_machines(it))
    if it.own_engine:
        found += [_storage(it), _engine(places)]
    return [*found, _service(it, places), _discover(it), _first(it)]


def _pip(python: str, *words: str) -> str:
    # A distribution's Python is told that its own folder for such things, /usr/local, is meant.
    distribution = ("--break-system-packages",) if python == "/usr/bin/python3" else ()
    return shlex.join([python, "-m", "pip", words[0], *distribution, *words[1:]])


def _package(it: Decided) -> Step:
    return Step(
        title="The driver, beside Nova",
        text="It brings the driver's few libraries and leaves Nova as it is.",
        do=(Command(line=_pip(it.python, "install", it.package)),),
        check=((Command(line=shlex.join([it.python, "-W", "ignore", "-c", _LOADS])), "DockerDriver"),),
        undo=(Command(line=_pip(it.python, "uninstall", "--yes", "nova-docker")),),
    )


def _controllers(it: Decided) -> Step:
    python = it.controller_python
    return Step(
        title="The filter and the check of flavors, beside nova-scheduler and nova-api",
        text=f"In the Python environment of each ({python} stands for it here).",
        do=(Command(line=_pip(python, "install", it.package), where=SCHEDULERS),),
        check=(
            (
                Command(line=shlex.join([python, "-W", "ignore", "-c", _VALIDATES]), where=SCHEDULERS),
                extra_specs.TABLE[0].name,
            ),
        ),
        undo=(Command(line=_pip(python, "uninstall", "--yes", "nova-docker"), where=SCHEDULERS),),
    )


def _scheduler(it: Decided) -> Step:
    if it.filter_is_there:
        return Step(
            title="The scheduler's filter",
            text="It is in the nova.conf that was read. Nothing to do, if every nova-scheduler has the same.",
        )
    restart = Command(line="systemctl restart nova-scheduler nova-api", where=SCHEDULERS)
    return Step(
        title="The scheduler's filter",
        text="By hand, in the nova.conf of every nova-scheduler: put the lines of scheduler.conf.add into "
        "its [filter_scheduler]"
        + (", in place of those it has." if it.old_filters else ".")
        + " Docker images then go to "
        "docker hosts, and all others elsewhere. (The services may be called otherwise with you.)",
        do=(restart,),
        check=((Command(line=f"grep -c {FILTER} /etc/nova/nova.conf", where=SCHEDULERS), "1"),),
        undo=(restart,),
        undo_text="By hand first: the lines as they were, "
        + ("; ".join(it.old_filters) if it.old_filters else "that is, none of the two options."),
    )


def _identity(it: Decided) -> Step:
    assert it.moved_id is not None
    old, new = map(str, it.moved_id)
    return Step(
        title="The first service's identity, out of the folder both read",
        text="nova-compute looks for compute_id beside each of its files and in its state_path.",
        do=(Command(line=shlex.join(["mv", "--no-clobber", old, new])),),
        check=((Command(line=f"test ! -e {shlex.quote(old)} && test -e {shlex.quote(new)}"), ""),),
        undo=(Command(line=shlex.join(["mv", "--no-clobber", new, old])),),
    )


def _machines(it: Decided) -> Step:
    restart = Command(line=f"systemctl restart {it.libvirt_unit}")
    return Step(
        title="What the other nova-compute of this host keeps back",
        text=f"By hand: put the lines of libvirt.conf.add into {it.nova_conf}, in place of those of the same "
        "name. Without it the machine is promised twice. The docker service reads that file, too; its own "
        "amounts stand in its own file, which counts more. VMs that are there stay, whatever they have.",
        do=(restart,),
        check=(
            (Command(line=f"grep reserved_host_memory_mb {shlex.quote(str(it.nova_conf))}"),
             str(it.division.libvirt["reserved_host_memory_mb"])),
        ),
        undo=(restart,),
        undo_text="By hand first: the amounts as they were.",
    )  # fmt: skip


def _storage(it: Decided) -> Step:
    disk, place = str(model.DISK), str(model.STORAGE)
    size = it.division.containers.disk_gb
    line = f"{disk} {place} btrfs loop,noatime,user_subvol_rm_allowed 0 0"
    return Step(
        title="Storage that holds each container's disk to its flavor",
        text="A file, which any file system can hold. Better, where you have one: a volume with btrfs; "
        f"put it in the file's place here and in /etc/fstab. Containers may have {size} GiB.",
        do=(
            Command(line=f"truncate --size={size}G {disk}"),
            Command(line=f"mkfs.btrfs --quiet {disk}"),
            Command(line=f"install -d -m 0711 {place}"),
            Command(line=f"echo '{line}' >> /etc/fstab"),
            Command(line=f"mount {place}"),
        ),
        check=((Command(line=f"findmnt --noheadings --output FSTYPE {place}"), "btrfs"),),
        undo=(
            Command(line=f"umount {place}"),
            Command(line=f"sed -i '\\#^{disk} #d' /etc/fstab"),
            Command(line=f"rm -r {place} {disk}"),
        ),
    )


def _engine(places: dict[str, Rendered]) -> Step:
    names = [f"{model.ENGINE}.service", model.DAEMON.name, model.RUNTIME.name, model.SANDBOX_RUNTIME.name]
    unit = f"{model.ENGINE}.service"
    docker = f"docker -H unix://{model.SOCKET}"
    return Step(
        title="A dockerd of Nova's own",
        text="Beside any other; run these in the folder of this file.",
        do=(
            *_install(places, names),
            Command(line="systemctl daemon-reload"),
            Command(line=f"systemctl enable --now {unit}"),
        ),
        check=(
            (
                Command(line=f"{docker} info --format '{{{{.Driver}}}} {{{{.SecurityOptions}}}}'"),
                "name=userns",
            ),
            (
                Command(line=f"{docker} info --format '{{{{.Driver}}}} {{{{.DefaultRuntime}}}}'"),
                "btrfs nova-docker",
            ),
        ),
        undo=(Command(line=f"systemctl disable --now {unit}"), *_remove(places, names)),
    )


def _service(it: Decided, places: dict[str, Rendered]) -> Step:
    names = [f"{model.SERVICE}.service", model.OVERLAY.name]
    unit = f"{model.SERVICE}.service"
    return Step(
        title="The second nova-compute",
        text=f"Its own file is laid over {it.nova_conf}; it lies in a folder of its own, as nova-compute "
        "looks for an identity beside each of its files.",
        do=(
            *_install(places, names),
            Command(line=f"install -d -m 0755 {model.STATE} {model.STATE}/instances"),
            Command(line="systemctl daemon-reload"),
            Command(line=f"systemctl enable --now {unit}"),
        ),
        check=(
            (Command(line=f"systemctl is-active {unit}"), "active"),
            (Command(line=f"openstack compute service list --host {it.host} --format value --column State",
                     where=CLIENT), "up"),
        ),
        undo=(
            Command(line=f"systemctl disable --now {unit}"),
            *_remove(places, names),
            Command(
                line=f"openstack compute service delete $(openstack compute service list --host {it.host} "
                "--format value --column ID)",
                where=CLIENT,
            ),
            Command(line=f"rm -r {model.STATE}"),
        ),
    )  # fmt: skip


def _discover(it: Decided) -> Step:
    return Step(
        title="The host, made known to its cell",
        text="Until then nothing is scheduled to it. A cloud with [scheduler] "
        "discover_hosts_in_cells_interval does it by itself.",
        do=(Command(line="nova-manage cell_v2 discover_hosts", where=CONTROLLER),),
        check=(
            (Command(line="openstack hypervisor list --format value --column 'Hypervisor Hostname' "
                     "--column 'Hypervisor Type'", where=CLIENT), f"{it.host} docker"),
            (Command(line=f"openstack resource provider list --name {it.host} --format value --column name",
                     where=CLIENT), it.host),
        ),
        undo=(
            Command(
                line=f"openstack compute service set --disable {it.host} nova-compute",
                where=CLIENT,
            ),
        ),
        undo_text="Delete or migrate the servers first: `openstack server list --all-projects --host "
        f"{it.host}` lists none then. The service itself is removed with the step before.",
    )  # fmt: skip


def _first(it: Decided) -> Step:
    return Step(
        title="A first container",
        text="With the name of a Docker image in IMAGE, that of a network in NETWORK, and docker at hand.",
        do=(
            Command(
                line='docker save "$IMAGE" | openstack image create --container-format docker '
                '--disk-format raw "$IMAGE" --format value --column status',
                where=CLIENT,
            ),
            Command(where=CLIENT, line="openstack flavor create --ram 512 --disk 1 container.small"),
            Command(
                line=f'openstack --os-compute-api-version 2.74 server create --image "$IMAGE" '
                f'--flavor container.small --network "$NETWORK" --host {it.host} --wait first-container',
                where=CLIENT,
            ),
        ),
        check=(
            (Command(line="openstack server show first-container --format value -c status", where=CLIENT),
             "ACTIVE"),
        ),
        undo=(
            Command(line="openstack server delete --wait first-container", where=CLIENT),
            Command(line="openstack flavor delete container.small", where=CLIENT),
            Command(line='openstack image delete "$IMAGE"', where=CLIENT),
        ),
    )  # fmt: skip


def _install(places: dict[str, Rendered], names: Iterable[str]) -> Iterator[Command]:
    for name in names:
        file = places[name]
        yield Command(line=f"install -D -m {file.mode:04o} {name} {file.place}")


def _remove(places: dict[str, Rendered], names: Iterable[str]) -> Iterator[Command]:
    files = " ".join(str(places[name].place) for name in names)
    yield Command(line=f"rm {files}")
    yield Command(line=f"rmdir --ignore-fail-on-non-empty {model.SETTINGS}")
    yield Command(line="systemctl daemon-reload")
