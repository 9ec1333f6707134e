# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""Open vSwitch's and OVN's databases, the bridges, and this machine's entry as the one chassis."""

import shutil
from pathlib import Path

from novadocker import poll, run
from novadocker.host import links
from novadocker.host.services.model import Cloud


def make_switch_database(cloud: Cloud) -> bool:
    """Create the empty Open_vSwitch database."""
    return _make(
        cloud.layout.data / "ovs" / "conf.db", "/usr/share/openvswitch/vswitch.ovsschema", owner="root"
    )


def make_ovn_databases(cloud: Cloud) -> bool:
    """Create OVN's two empty databases."""
    folder, owner = cloud.layout.data / "ovn", cloud.config.user
    north = _make(folder / "ovnnb.db", "/usr/share/ovn/ovn-nb.ovsschema", owner=owner)
    south = _make(folder / "ovnsb.db", "/usr/share/ovn/ovn-sb.ovsschema", owner=owner)
    return north or south


def _make(path: Path, schema: str, *, owner: str) -> bool:
    if path.exists():
        return False
    unfinished = path.with_suffix(".unfinished")
    unfinished.unlink(missing_ok=True)
    run.run(["ovsdb-tool", "create", unfinished, schema])
    shutil.chown(unfinished, owner, owner)
    unfinished.rename(path)
    return True


def describe_chassis(cloud: Cloud) -> bool:
    """Tell the switch which chassis it is, make its two bridges, and give the external one its address.

    One chassis serves both hypervisors: its hostname is what ports are bound to.
    """
    config, layout = cloud.config, cloud.layout
    internal, external = config.integration_bridge, config.external_bridge
    names = {"system-id": cloud.hostname, "hostname": cloud.hostname}
    # A bridge whose flows an agent writes must not turn into a mere switch when the agent is away.
    external_mode = "secure"
    if config.network_backend == "ovn":
        external_mode = "standalone"
        names |= {
            "ovn-remote": f"unix:{layout.ovn_sb_socket}",
            "ovn-encap-type": "geneve",
            "ovn-encap-ip": "127.0.0.1",
            "ovn-bridge": internal,
            "ovn-bridge-datapath-type": cloud.datapath,
            "ovn-bridge-mappings": f"public:{external}",
            "ovn-cms-options": "enable-chassis-as-gw",
        }
    vsctl = ["ovs-vsctl", f"--db=unix:{layout.ovs_socket}", "--timeout=20"]
    before = run.run([*vsctl, "get", "Open_vSwitch", ".", "external_ids"]).out
    wanted = [f'external_ids:{name}="{value}"' for name, value in names.items()]
    bridges: list[str] = []
    for bridge in (internal, external):
        bridges += ["--", "--may-exist", "add-br", bridge, "--", "set", "Bridge", bridge]
        mode = external_mode if bridge == external else "secure"
        bridges += [f"datapath_type={cloud.datapath}", f"fail_mode={mode}"]
    run.run([*vsctl, "set", "Open_vSwitch", ".", *wanted, *bridges])
    # A switch that found another's datapath in its way tries again when that has gone, which is soon.
    poll.until(
        lambda: None if external in links.present().kinds else "no such interface",
        why=f"The switch's bridge {external}", seconds=20, pause=0.05,
        hint=f"See {layout.logs}/vswitchd.log.",
    )  # fmt: skip
    addressed = links.give_address(
        external, address=config.external_gateway, prefix=config.external_prefix, mtu=cloud.machine.uplink_mtu
    )
    known = all(f'{name}="{value}"' in before or f"{name}={value}" in before for name, value in names.items())
    return addressed or not known
