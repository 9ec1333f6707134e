# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""The configuration in docs/how-to/existing-cloud.md names options and classes that exist."""

import configparser
import importlib
import re

from nova.conf import opts as nova_opts
from oslo_log import _options as log_options
from oslo_privsep import priv_context
from tools.reference.pages import ROOT
from vif_plug_ovs import ovs

from novadocker.host.services import nova
from novadocker.virt.docker import conf

EXISTING_CLOUD = (ROOT / "docs/how-to/existing-cloud.md").read_text()


def _examples() -> list[configparser.ConfigParser]:
    found = []
    for text in re.findall(r"```ini\n(.*?)```", EXISTING_CLOUD, re.DOTALL):
        parser = configparser.ConfigParser(interpolation=None, strict=False)
        parser.read_string(text)
        found.append(parser)
    return found


def test_every_option_of_the_overlay_exists() -> None:
    known = {
        (getattr(group, "name", group), option.dest)
        for group, options in [*nova_opts.list_opts(), *conf.list_opts()]
        for option in options
    }
    known |= {("os_vif_ovs", option.dest) for option in ovs.OvsPlugin.CONFIG_OPTS}
    known |= {("DEFAULT", option.dest) for option in log_options.logging_cli_opts}
    known |= {("vif_plug_ovs_privileged", option.dest) for option in priv_context.OPTS}
    overlay, unit, scheduler = _examples()
    assert "Service" in unit
    named = {
        (section, option)
        for parser in (overlay, scheduler)
        for section in parser
        for option in (parser.defaults() if section == "DEFAULT" else parser._sections[section])
    }
    assert named <= known, named - known


def test_class_paths_lead_to_classes_and_the_filters_are_those_of_up() -> None:
    overlay, _, scheduler = _examples()
    paths = [overlay["DEFAULT"]["compute_driver"], scheduler["filter_scheduler"]["available_filters"]]
    for path in paths:
        module, _, name = path.rpartition(".")
        assert isinstance(getattr(importlib.import_module(module), name), type)
    assert scheduler["filter_scheduler"]["enabled_filters"].split(",") == list(nova.FILTERS)
