# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""The enforcers that `wsgi.prepare` builds early are where it looks for them, and lazy by themselves."""

import subprocess
import sys

import pytest

pytestmark = pytest.mark.functional

# In a process of its own: each service keeps its configuration in globals.
SCRIPT = """
from oslo_config import cfg
from novadocker.host import wsgi
import {module} as module
cfg.CONF([], project="{project}", default_config_files=[])
{extra}
assert not ({rules}), "built already: nothing to prepare"
wsgi.prepare("{application}")
found = {rules}
assert "{rule}" in found, sorted(found)[:5]
"""


@pytest.mark.parametrize(
    ("application", "module", "rules", "rule", "extra"),
    [
        (
            "neutron.wsgi.api",
            "neutron.policy",
            "module._ENFORCER and module._ENFORCER.rules",
            "create_network:router:external",
            "",
        ),
        (
            "keystone.wsgi.api",
            "keystone.common.rbac_enforcer.enforcer",
            "getattr(module.RBACEnforcer(), '_RBACEnforcer__ENFORCER', None) "
            "and module.RBACEnforcer()._enforcer.registered_rules",
            "identity:create_project",
            "import keystone.conf; keystone.conf.configure(cfg.CONF)",
        ),
    ],
)
def test_the_enforcer_has_its_rules(application: str, module: str, rules: str, rule: str, extra: str) -> None:
    script = SCRIPT.format(
        application=application,
        project=application.partition(".")[0],
        module=module,
        rules=rules,
        rule=rule,
        extra=extra,
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
