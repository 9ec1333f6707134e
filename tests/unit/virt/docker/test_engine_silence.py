# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""A daemon that does not answer in time, before the head of its answer or within its body."""

from types import SimpleNamespace

import pytest
import requests
import urllib3

from novadocker.virt.docker.engine import DockerEngine

SILENCES = {
    "before the head": requests.exceptions.ReadTimeout("Read timed out."),
    "within the body": requests.exceptions.ConnectionError(
        urllib3.exceptions.ReadTimeoutError(None, "/wait", "Read timed out.")
    ),
}


@pytest.mark.parametrize("silence", SILENCES.values(), ids=SILENCES)
def test_waiting_in_vain_is_no_failure(monkeypatch, silence):
    def wait(container, timeout):
        raise silence

    engine = DockerEngine(url="unix:///nowhere", timeout=1)
    monkeypatch.setattr(engine, "_api", lambda: SimpleNamespace(wait=wait))
    assert engine.wait("web", timeout=0.1) is None
