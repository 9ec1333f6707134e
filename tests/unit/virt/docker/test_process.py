# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""What is to run: the image's own, its properties, the server's metadata."""

import pytest

from novadocker.virt.docker import process
from novadocker.virt.docker.errors import SettingRejected
from novadocker.virt.docker.process import Process


def test_nothing_said_leaves_all_to_the_image() -> None:
    assert process.wanted(image={}, metadata={}) == Process()


def test_metadata_wins_over_the_image_s_properties_and_variables_one_by_one() -> None:
    image = {
        "os_command_line": "serve --port 80 'two words'",
        "docker_environment": "A=image B='of the image' C=image",
        "docker_env:D": " as it is ",
        "docker_user": "web",
        "docker_working_dir": "/www",
        "os_distro": "debian",
    }
    assert process.wanted(image=image, metadata={}) == Process(
        command=("serve", "--port", "80", "two words"),
        environment={"A": "image", "B": "of the image", "C": "image", "D": " as it is "},
        user="web",
        working_dir="/www",
    )
    own = {
        "docker_command": "other",
        "docker_environment": "A=own",
        "docker_env:A": "own, by itself",
        "docker_env:C": "",
        "docker_user": "1000:1000",
        "purpose": "test",
    }
    assert process.wanted(image=image, metadata=own) == Process(
        command=("other",),
        environment={"A": "own, by itself", "B": "of the image", "C": "", "D": " as it is "},
        user="1000:1000",
        working_dir="/www",
    )


@pytest.mark.parametrize(
    ("metadata", "words"),
    [
        ({"docker_command": "sh -c 'open"}, "docker_command cannot be used: it is not words as a shell"),
        ({"docker_environment": "A=1 word"}, "not NAME=value: word"),
        ({"docker_environment": "1A=1"}, "no variable has such a name: '1A'"),
        ({"docker_env:A B": "1"}, "no variable has such a name: 'A B'"),
        ({"docker_env:A": "\0"}, "zero byte"),
        ({"docker_user": "a b"}, "docker_user cannot be used: it is to be a name or a number"),
        ({"docker_user": "a:b:c"}, "a name or a number"),
        ({"docker_working_dir": "www"}, "a path from the root"),
    ],
)
def test_what_cannot_be_meant_is_refused_by_name(metadata: dict[str, str], words: str) -> None:
    with pytest.raises(SettingRejected, match=words):
        process.wanted(image={}, metadata=metadata)


def test_a_property_that_nova_has_cut_is_refused_and_metadata_of_that_length_is_not() -> None:
    with pytest.raises(SettingRejected, match=r"image property os_command_line .* at most 254 bytes"):
        process.wanted(image={"os_command_line": "x" * 255}, metadata={})
    assert process.wanted(image={}, metadata={"docker_command": "x" * 255}).command == ("x" * 255,)


def test_nova_keeps_properties_with_a_server_under_its_prefix() -> None:
    kept = {"image_os_command_line": "serve", "image_min_ram": "0", "boot_roles": "admin"}
    assert process.of_image(kept) == {"os_command_line": "serve", "min_ram": "0"}
