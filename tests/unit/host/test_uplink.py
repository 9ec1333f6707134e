# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
from novadocker.host.config import HostConfig
from novadocker.host.uplink import rules

MARK = "-m comment --comment nova-docker:lab"


def test_the_rules_as_iptables_reads_them():
    config = HostConfig(name="lab", external_bridge="lab-ex", external_cidr="192.0.2.0/24")
    assert [(rule.table, rule.chain, " ".join(rule.words)) for rule in rules(config)] == [
        (
            "nat",
            "POSTROUTING",
            f"-s 192.0.2.0/24 ! -d 192.0.2.0/24 ! -o lab-ex {MARK} -j MASQUERADE",
        ),
        ("filter", "FORWARD", f"-i lab-ex -s 192.0.2.0/24 {MARK} -j ACCEPT"),
        ("filter", "FORWARD", f"-o lab-ex -d 192.0.2.0/24 {MARK} -j ACCEPT"),
    ]


def test_every_rule_names_the_cloud():
    for rule in rules(HostConfig(name="lab")):
        assert "nova-docker:lab" in rule.words
