# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
from novadocker.host.secrets import Secret
from novadocker.host.services.ini import HEADER, ini


def test_values_of_every_kind_in_the_order_given():
    text = ini(
        {
            "z": {"yes": True, "no": False, "whole": 5, "part": 0.5, "text": "a b", "secret": Secret("hush")},
            "a": {"several": ["x", "y"], "one": ("x",), "none": [], "empty": ""},
        }
    )
    assert text == HEADER + (
        "\n[z]\nyes = true\nno = false\nwhole = 5\npart = 0.5\ntext = a b\nsecret = hush\n"
        "\n[a]\nseveral = x,y\none = x\nnone = \nempty = \n"
    )


def test_a_section_without_options_stays():
    assert ini({"a": {}}) == HEADER + "\n[a]\n"
