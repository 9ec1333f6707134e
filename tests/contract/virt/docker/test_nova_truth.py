# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""What the driver leans on of Nova's own insides for power states and consoles; a release may move it."""

import inspect

from nova import service
from nova.compute import manager
from nova.console import websocketproxy
from nova.objects import console_auth_token


def test_nova_takes_note_of_an_end_only_where_it_finds_the_server_shut_down() -> None:
    """Hence no server of ours is ever CRASHED, and one without a container is SHUTDOWN."""
    source = inspect.getsource(manager.ComputeManager.handle_lifecycle_event)
    assert "vm_power_state = power_state.SHUTDOWN" in source
    assert "if current_power_state == vm_power_state:" in source
    assert "task_state is not None" in inspect.getsource(manager.ComputeManager._sync_instance_power_state)


def test_nova_asks_for_resources_after_it_has_gone_through_its_servers() -> None:
    """Hence that is when the driver looks for what ended before."""
    source = inspect.getsource(service.Service.start)
    assert source.index("manager.init_host(") < source.index("manager.pre_start_hook(")
    assert "update_available_resource(" in inspect.getsource(manager.ComputeManager.pre_start_hook)
    begins = inspect.getsource(manager.ComputeManager.init_host)
    assert begins.index("init_virt_events()") < begins.index("_init_instance(")


def test_nova_s_proxy_asks_the_console_port_for_a_path() -> None:
    source = inspect.getsource(websocketproxy.NovaProxyRequestHandler.new_websocket_client)
    assert "'CONNECT %s HTTP/1.1\\r\\n\\r\\n' % path" in source
    assert 'data.split(b"\\r\\n")[0].find(b"200")' in source
    assert "internal_access_path" in console_auth_token.ConsoleAuthToken.fields
