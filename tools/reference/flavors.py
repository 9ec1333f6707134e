# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""docs/reference/flavors.md: what a flavor can say of its containers."""

from tools.reference import markdown

from novadocker import extra_specs
from novadocker.extra_specs import ExtraSpec


def page() -> str:
    """Return the page."""
    return markdown.page(
        "# Extra specs of flavors",
        markdown.written_from("novadocker.extra_specs"),
        "Flavors are made by administrators, so what is said here is theirs to say: no image property, no "
        "metadata and no other word of a server's owner reaches any of it. nova-api checks the values where "
        "nova-docker is installed beside it, from API version 2.86 on, and answers 400 to one that cannot "
        "be; the driver checks them again, and a build with a wrong one ends in ERROR with that reason. "
        "What a server has was decided when it was made: a flavor's later values are for servers made later.",
        "```console\n"
        "$ openstack flavor create --ram 512 --disk 5 --vcpus 1 m1.system\n"
        "$ openstack --os-compute-api-version 2.86 flavor set m1.system "
        "--property docker:no_new_privileges=false "
        "--property docker:capabilities=AUDIT_WRITE,SETFCAP,SETPCAP\n"
        "```",
        markdown.table(
            ("extra spec", "value", "without it", "weakens isolation", "what it does"),
            [
                (f"`{one.name}`", _value(one), one.default, "can" if one.relaxes else "no", one.what)
                for one in extra_specs.TABLE
            ],
        ),
        f"The capabilities kept by default are {_names(extra_specs.KEPT_CAPABILITIES)}; "
        f"those that can be added are {_names(extra_specs.ADDABLE)}. One that acts on the whole machine "
        "(`SYS_MODULE`, `SYS_RAWIO`, `SYS_TIME`, `BPF` …) cannot be.",
        "There is no `docker:privileged`: it would hand a server the host's devices, and a daemon with user "
        "namespaces refuses it. There is no choice of seccomp profile either: Docker's own allows by itself "
        "the system calls that a granted capability is for.",
        "Of Nova's own extra specs the driver obeys `quota:cpu_shares`, `quota:cpu_period`, "
        "`quota:cpu_quota` (of each vCPU; a negative one is no cap), "
        "`quota:disk_{read,write,total}_{bytes,iops}_sec` (of the disk that dockerd's storage is on; a total "
        "is allowed for each direction), and `hw:cpu_policy=dedicated` where `[compute] cpu_dedicated_set` "
        "gives "
        "the host processors for it. What the kernel's limits do not reach is told in "
        "[what holds a container](../explanation/security.md).",
    )


def _names(names: tuple[str, ...]) -> str:
    return ", ".join(f"`{one}`" for one in names)


def _value(one: ExtraSpec) -> str:
    if one.kind is int:
        return f"{one.least} to {one.most}"
    return "true or false" if one.kind is bool else "names or paths"
