# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""What `nova-docker render` writes, and the page that walks through it, name things that exist."""

import configparser
import importlib
import re

import click
from nova.conf import opts as nova_opts
from oslo_log import _options as log_options
from oslo_privsep import priv_context
from tests.fakes import compute_hosts
from tools.reference.pages import ROOT
from vif_plug_ovs import ovs

from novadocker.host.cli.render import render
from novadocker.host.overlay import decide, papers
from novadocker.host.overlay.model import Wanted
from novadocker.virt.docker import conf

EXISTING_CLOUD = (ROOT / "docs/how-to/existing-cloud.md").read_text()
RENDERED = papers.write(decide.decide(Wanted(), compute_hosts.seen(compute_hosts.DIVIDED)))


def _settings(name: str) -> configparser.ConfigParser:
    parser = configparser.ConfigParser(interpolation=None, strict=False)
    parser.read_string(next(file.content for file in RENDERED.files if file.name == name))
    return parser


SETTINGS = [_settings(name) for name in ("nova-docker.conf", "scheduler.conf.add", "libvirt.conf.add")]


def test_every_option_that_is_rendered_exists() -> None:
    known = {
        (getattr(group, "name", group), option.dest)
        for group, options in [*nova_opts.list_opts(), *conf.list_opts()]
        for option in options
    }
    known |= {("os_vif_ovs", option.dest) for option in ovs.OvsPlugin.CONFIG_OPTS}
    known |= {("DEFAULT", option.dest) for option in log_options.logging_cli_opts}
    known |= {("oslo_concurrency", "lock_path")}
    known |= {
        (section, option.dest)
        for section in ("vif_plug_ovs_privileged", "nova_sys_admin", "privsep_osbrick")
        for option in priv_context.OPTS
    }
    named = {
        (section, option)
        for parser in SETTINGS
        for section in parser
        for option in (parser.defaults() if section == "DEFAULT" else parser._sections[section])
    }
    assert named <= known, named - known


def test_class_paths_lead_to_classes() -> None:
    overlay, scheduler, _ = SETTINGS
    paths = [overlay["DEFAULT"]["compute_driver"], scheduler["filter_scheduler"]["available_filters"]]
    for path in paths:
        module, _, name = path.rpartition(".")
        assert isinstance(getattr(importlib.import_module(module), name), type)


def test_the_page_names_options_and_files_there_are() -> None:
    options = {
        word for parameter in render.params for word in parameter.opts if isinstance(parameter, click.Option)
    }
    assert set(re.findall(r"`(--[a-z-]+)`", EXISTING_CLOUD)) <= options
    assert set(re.findall(r"`([a-z.-]+\.(?:add|service))`", EXISTING_CLOUD)) <= {
        file.name for file in RENDERED.files
    }
