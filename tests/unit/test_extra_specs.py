# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""What a flavor may say of its containers, and that Nova's API and the driver agree about it."""

from importlib import metadata

import pytest
from nova import exception
from nova.api.validation.extra_specs import base
from oslo_utils import strutils

from novadocker import extra_specs
from novadocker.api import extra_specs as api
from novadocker.extra_specs import BadExtraSpec, Choices, parse

VALIDATORS = {one.name: one for one in api.register()}

GOOD = [
    ("docker:no_new_privileges", "false", "no_new_privileges", False),
    ("docker:no_new_privileges", "True", "no_new_privileges", True),
    ("docker:capabilities", "SETPCAP, SYS_BOOT", "capabilities", ("SETPCAP", "SYS_BOOT")),
    ("docker:capabilities", "SETFCAP,SETFCAP", "capabilities", ("SETFCAP",)),
    ("docker:drop_capabilities", "ALL", "drop_capabilities", ("ALL",)),
    ("docker:drop_capabilities", "NET_RAW,KILL", "drop_capabilities", ("NET_RAW", "KILL")),
    ("docker:pids", "64", "pids", 64),
    ("docker:read_only_root", "yes", "read_only_root", True),
    ("docker:tmpfs", "/run,/var/tmp", "tmpfs", ("/run", "/var/tmp")),
    ("docker:shm_size_mb", "256", "shm_size_mb", 256),
]
BAD = [
    ("docker:no_new_privileges", "perhaps"),
    ("docker:capabilities", "SYS_MODULE"),
    ("docker:capabilities", "ALL"),
    ("docker:capabilities", ""),
    ("docker:capabilities", "SETPCAP;SYS_BOOT"),
    ("docker:drop_capabilities", "SYS_ADMIN"),
    ("docker:pids", "0"),
    ("docker:pids", "-1"),
    ("docker:pids", "many"),
    ("docker:read_only_root", ""),
    ("docker:tmpfs", "run"),
    ("docker:tmpfs", "/"),
    ("docker:tmpfs", "/run:exec"),
    ("docker:shm_size_mb", "0"),
]


@pytest.mark.parametrize(("name", "text", "field", "value"), GOOD)
def test_a_value_is_understood(name: str, text: str, field: str, value: object) -> None:
    assert getattr(parse({name: text}, user_namespaces=True), field) == value
    VALIDATORS[name].validate(name, text)


@pytest.mark.parametrize(("name", "text"), BAD)
def test_a_value_that_cannot_be_is_refused_by_both(name: str, text: str) -> None:
    with pytest.raises(BadExtraSpec, match=name) as caught:
        parse({name: text}, user_namespaces=True)
    assert str(caught.value).count("It is") == 1
    with pytest.raises(exception.ValidationError):
        VALIDATORS[name].validate(name, text)


def test_no_folder_above_is_mounted_over() -> None:
    with pytest.raises(BadExtraSpec):
        parse({"docker:tmpfs": "/run/../etc"}, user_namespaces=True)


def test_what_is_not_offered_is_refused() -> None:
    with pytest.raises(BadExtraSpec, match="docker:privileged"):
        parse({"docker:privileged": "true"}, user_namespaces=True)


def test_other_namespaces_are_others() -> None:
    assert parse({"hw:cpu_policy": "shared", "dockers": "x"}, user_namespaces=True) == Choices()


def test_words_of_truth_are_nova_s() -> None:
    for word in extra_specs._TRUE | extra_specs._FALSE:
        assert strutils.bool_from_string(word, strict=True) is (word in extra_specs._TRUE)


def test_capabilities_held() -> None:
    assert set(Choices().held) == set(extra_specs.KEPT_CAPABILITIES)
    assert Choices(drop_capabilities=("ALL",), capabilities=("SETPCAP",)).held == ("SETPCAP",)
    assert "NET_RAW" not in Choices(drop_capabilities=("NET_RAW",)).held


def test_a_capability_is_confined_or_not_given() -> None:
    with pytest.raises(BadExtraSpec, match="SYS_ADMIN would hold for the host"):
        parse({"docker:capabilities": "SETPCAP,SYS_ADMIN"}, user_namespaces=False)
    assert parse({"docker:capabilities": "SETPCAP"}, user_namespaces=False).capabilities == ("SETPCAP",)


def test_every_default_is_what_holds_without() -> None:
    fields = {f"docker:{name}" for name in Choices.__dataclass_fields__}
    assert fields == {one.name for one in extra_specs.TABLE} == set(VALIDATORS)
    assert all(isinstance(one, base.ExtraSpecValidator) for one in VALIDATORS.values())


def test_nova_finds_the_validators() -> None:
    (found,) = [
        entry
        for entry in metadata.entry_points(group="nova.api.extra_spec_validators")
        if entry.value.startswith("novadocker.")
    ]
    assert (found.name, found.value) == ("docker", api.__name__)
