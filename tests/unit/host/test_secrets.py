# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
import json
import stat

import pytest
from tests.fakes import clouds

from novadocker.errors import NovaDockerError
from novadocker.host import secrets
from novadocker.host.services import registry


def test_they_are_made_once_and_for_root_alone(tmp_path):
    file = tmp_path / "secrets.json"
    made = secrets.load_or_make(file)
    assert set(made.values) == set(secrets.NAMES)
    assert len(set(made.values.values())) == len(secrets.NAMES)
    assert all(len(value) >= 32 for value in made.values.values())
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    inode = file.stat().st_ino
    assert secrets.load_or_make(file) == made == secrets.load(file)
    assert file.stat().st_ino == inode


def test_missing_ones_are_added_and_the_rest_stays(tmp_path):
    file = tmp_path / "secrets.json"
    file.write_text(json.dumps({"admin": "mine", "of-a-later-version": "theirs", "member": ""}))
    made = secrets.load_or_make(file)
    assert made["admin"] == "mine"
    assert made["member"]
    assert json.loads(file.read_text())["of-a-later-version"] == "theirs"


def test_a_file_that_others_may_read_is_closed_again(tmp_path):
    file = tmp_path / "secrets.json"
    secrets.load_or_make(file)
    file.chmod(0o644)
    secrets.load_or_make(file)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_looking_makes_nothing(tmp_path):
    file = tmp_path / "secrets.json"
    file.write_text('{"admin": "mine"}')
    with pytest.raises(NovaDockerError) as caught:
        secrets.load(file)
    assert "member" in caught.value.facts
    assert "nova-docker up" in caught.value.hint
    assert file.read_text() == '{"admin": "mine"}'


@pytest.mark.parametrize("damage", ["", "{", "[]", '"x"'])
@pytest.mark.parametrize("read", [secrets.load, secrets.load_or_make])
def test_a_damaged_file_is_told_and_kept(tmp_path, damage, read):
    file = tmp_path / "secrets.json"
    file.write_text(damage)
    with pytest.raises(NovaDockerError, match="damaged"):
        read(file)
    assert file.read_text() == damage


def test_no_secret_is_in_what_a_log_would_show():
    secret = secrets.Secret("hush")
    assert (repr(secret), str(secret)) == ("'***'", "hush")
    assert "hush" not in repr(secrets.Secrets({"admin": secret}))
    assert "password-of" not in repr(clouds.cloud())


def test_no_file_shows_its_content_to_a_log():
    cloud = clouds.cloud()
    assert "password-of" not in repr(registry.services(cloud))
