# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""The enforcers that `wsgi.prepare` builds early are where it looks for them, and lazy by themselves.

And one that has read its rules once asks no file system again.
"""

import subprocess
import sys

import pytest

pytestmark = pytest.mark.functional

# In a process of its own: each service keeps its configuration in globals.
SCRIPT = """
from oslo_config import cfg
from novadocker.programs import wsgi
import {module} as module
cfg.CONF([], project="{project}", default_config_files=[])
{extra}
assert not ({rules}), "built already: nothing to prepare"
wsgi.prepare("{application}")
found = {rules}
assert "{rule}" in found, sorted(found)[:5]
enforcer = {enforcer}
enforcer._get_policy_path = enforcer._load_policy_file = lambda *_: 1 / 0
enforcer.load_rules()
assert "{rule}" in enforcer.rules
"""


@pytest.mark.parametrize(
    ("application", "module", "enforcer", "rules", "rule", "extra"),
    [
        (
            "neutron.wsgi.api",
            "neutron.policy",
            "module._ENFORCER",
            "module._ENFORCER and module._ENFORCER.rules",
            "create_network:router:external",
            "",
        ),
        (
            "keystone.wsgi.api",
            "keystone.common.rbac_enforcer.enforcer",
            "module.RBACEnforcer()._enforcer",
            "getattr(module.RBACEnforcer(), '_RBACEnforcer__ENFORCER', None) "
            "and module.RBACEnforcer()._enforcer.registered_rules",
            "identity:create_project",
            "import keystone.conf; keystone.conf.configure(cfg.CONF)",
        ),
        (
            "nova.wsgi.osapi_compute",
            "nova.policy",
            "module._ENFORCER",
            "module._ENFORCER and module._ENFORCER.rules",
            "os_compute_api:servers:create",
            "",
        ),
    ],
)
def test_the_enforcer_has_its_rules(
    application: str, module: str, enforcer: str, rules: str, rule: str, extra: str
) -> None:
    script = SCRIPT.format(
        application=application,
        project=application.partition(".")[0],
        module=module,
        enforcer=enforcer,
        rules=rules,
        rule=rule,
        extra=extra,
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
