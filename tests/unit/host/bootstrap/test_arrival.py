# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
import pytest
from tests.fakes import clouds
from tests.fakes.supervisor import FakeSupervisor

from novadocker.errors import NovaDockerError
from novadocker.host import apply
from novadocker.host.bootstrap import arrival
from novadocker.host.bootstrap.arrival import Arrival
from novadocker.host.services import registry
from novadocker.host.supervise.door import Supervision


@pytest.fixture
def cloud(tmp_path):
    made = clouds.cloud_in(tmp_path)
    made.layout.data.mkdir(parents=True)
    return made


def _needs(cloud) -> dict[str, tuple[str, ...]]:
    supervision = Supervision(supervisor=FakeSupervisor(), settings=(), scripts={}, groups={})
    applier = apply.Applier(cloud, services=registry.services(cloud), supervision=supervision)
    return {step.name: step.needs for step in applier.steps()}


def test_a_cloud_that_was_not_loaded_has_no_such_steps(cloud):
    needs = _needs(cloud)
    assert not {"arrival", "arrived"} & set(needs)
    assert needs["glance-schema"] == ("mariadb",)


def test_nobody_asks_the_database_of_a_loaded_one_before_it_knows_the_passwords(cloud):
    arrival.note(cloud.layout, Arrival(renewed=True, keypair="ssh-ed25519 AAAA"))
    needs = _needs(cloud)
    assert needs["arrival"] == ("mariadb",)
    schemas = [name for name in needs if name.endswith("-schema")]
    assert len(schemas) == 5
    assert all("arrival" in needs[name] and "mariadb" not in needs[name] for name in schemas)


def test_it_counts_as_loaded_until_everything_is_up(cloud):
    arrival.note(cloud.layout, Arrival(renewed=True, keypair="ssh-ed25519 AAAA"))
    needs = _needs(cloud)
    assert set(needs["arrived"]) == set(needs) - {"arrived"}
    assert arrival.pending(cloud.layout)
    assert arrival.end(cloud.layout)
    assert "arrived" not in _needs(cloud)


@pytest.mark.parametrize("text", ["", "[]", '{"renewed": true}', '{"renewed": true, "keypair": "", "x": 1}'])
def test_a_damaged_note_is_told(cloud, text):
    cloud.layout.arrival_file.write_text(text)
    with pytest.raises(NovaDockerError, match="is damaged"):
        arrival.settle(cloud)
