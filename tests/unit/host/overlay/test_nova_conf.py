# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""nova.conf is read as oslo.config reads it: the same text is given to both."""

import pytest
from oslo_config import cfg

from novadocker.errors import NovaDockerError
from novadocker.host.overlay import nova_conf

TEXT = """
# host = no
[DEFAULT]
host = one
host: two
log_dir = "/var/log/nova"
transport_url=rabbit://u:p@a:5672/,
  u:p@b:5672/
; state_path = no
[filter_scheduler]
available_filters = a.b
available_filters = c.d
enabled_filters = A, B
[DEFAULT]
state_path =
"""
PLAIN = (("DEFAULT", "host"), ("DEFAULT", "log_dir"), ("DEFAULT", "state_path"), ("DEFAULT", "transport_url"),
         ("filter_scheduler", "enabled_filters"))  # fmt: skip


@pytest.fixture
def both(tmp_path):
    file = tmp_path / "nova.conf"
    file.write_text(TEXT)
    theirs = cfg.ConfigOpts()
    for section, name in PLAIN:
        theirs.register_opt(cfg.StrOpt(name), group=None if section == "DEFAULT" else section)
    theirs.register_opt(cfg.MultiStrOpt("available_filters"), group="filter_scheduler")
    theirs([], default_config_files=[str(file)], default_config_dirs=[])
    return nova_conf.read([file]), theirs


@pytest.mark.parametrize(("section", "name"), PLAIN)
def test_the_last_value_counts(both, section, name):
    ours, theirs = both
    wanted = (theirs if section == "DEFAULT" else theirs[section])[name]
    assert "".join(ours.get(name, section=section).split()) == "".join(wanted.split())


def test_every_value_of_a_list_counts(both):
    ours, theirs = both
    values = ours.all("available_filters", section="filter_scheduler")
    assert list(values) == theirs.filter_scheduler.available_filters


def test_files_are_laid_over_each_other(tmp_path):
    (tmp_path / "a").write_text("[DEFAULT]\nhost = one\nmy_ip = 1\n")
    (tmp_path / "b").write_text("[DEFAULT]\nhost = two\n")
    found = nova_conf.read([tmp_path / "a", tmp_path / "gone", tmp_path / "b"])
    assert (found.get("host"), found.get("my_ip")) == ("two", "1")
    assert found.files == (tmp_path / "a", tmp_path / "b")


def test_a_file_of_others_is_told(tmp_path, monkeypatch):
    def refuse(self, **_):
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr(type(tmp_path), "read_text", refuse)
    with pytest.raises(NovaDockerError, match="may not be read"):
        nova_conf.read([tmp_path / "nova.conf"])
