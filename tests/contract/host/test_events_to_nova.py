# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""Neutron's notifier has what `events_to_nova` changes of it, and does without when told so."""

import subprocess
import sys

import pytest

pytestmark = pytest.mark.functional

# In a process of its own: Neutron keeps its configuration and its callbacks in globals.
SCRIPT = """
from neutron.common import config
from oslo_config import cfg
from neutron.notifiers import nova
from neutron_lib import context
from neutron_lib.callbacks import events, registry
from novadocker.programs import events_to_nova

config.register_common_config_options()
cfg.CONF([], project="neutron", default_config_files=[])
sent = []
nova.Notifier.send_network_change = lambda self, action, before, after: sent.append(action)
events_to_nova.settle()


def changed(resource, action, *roles):
    sent.clear()
    payload = events.APIEventPayload(
        context.Context(roles=list(roles)), resource + ".update.end", action, states=({}, {})
    )
    registry.publish(resource, events.BEFORE_RESPONSE, None, payload=payload)
    return list(sent)


assert changed("port", "update_port", "member") == ["update_port"]
assert changed("port", "update_port", "admin") == ["update_port"]
assert changed("port", "update_port", "admin", "service") == []
assert changed("floatingip", "update_floatingip", "member") == ["update_floatingip"]
assert changed("floatingip", "update_floatingip", "admin", "service") == ["update_floatingip"]

batch = nova.Notifier.get_instance().batch_notifier
assert batch.batch_interval == events_to_nova.INTERVAL
"""


def test_it_tells_nova_what_others_change_and_soon() -> None:
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
