# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
import json
from dataclasses import replace

import pytest
from tests.fakes.saved import HERE, MANIFEST

from novadocker.host.saved import manifest

DIGEST = "0" * 64


def test_it_reads_what_it_wrote():
    assert manifest.from_json(manifest.to_json(MANIFEST)) == MANIFEST


def _refusals(**changes):
    return manifest.refusals(replace(MANIFEST, **changes), architecture="x86_64", versions=HERE)


def test_the_same_release_of_openstack_is_enough():
    assert _refusals() == []


def test_another_release_or_machine_is_told_with_both_versions():
    assert _refusals(versions=HERE | {"nova": "33.0.0", "mariadb": "11.4"}) == [
        "nova 33.0.0 in the file, 34.0.0 here",
        "mariadb 11.4 in the file, 10.11 here",
    ]
    assert _refusals(versions={name: HERE[name] for name in HERE if name != "glance"}) == [
        "glance unknown in the file, 33.0.0 here"
    ]
    assert _refusals(architecture="aarch64") == ["made on aarch64, this is x86_64"]


ALTERED = {
    "no JSON": b"{",
    "no table": b"[]",
    "another format": {"format": 99},
    "no format": {"format": None},
    "a text that is none": {"made": 3},
    "versions that are none": {"versions": ["34"]},
    "a network that is missing": {"fixed": {"region": "RegionOne"}},
    "a host name for the shell": {"hostname": "x; rm -rf /"},
    "an empty host name": {"hostname": ""},
    "a field too many": {"more": 1},
    "a file elsewhere": {"entries": [{"path": "../../etc/passwd", "size": 1, "sha256": DIGEST}]},
    "a file that is no part": {"entries": [{"path": "state.json", "size": 1, "sha256": DIGEST}]},
    "a file without a name": {"entries": [{"path": None, "size": 1, "sha256": DIGEST}]},
    "a file of a negative size": {"entries": [{"path": "secrets.json", "size": -1, "sha256": DIGEST}]},
    "a file without a digest": {"entries": [{"path": "secrets.json", "size": 1, "sha256": "0"}]},
    "a file twice": {"entries": [{"path": "secrets.json", "size": 1, "sha256": DIGEST}] * 2},
    "an entry that is none": {"entries": ["secrets.json"]},
}


@pytest.mark.parametrize("change", ALTERED.values(), ids=ALTERED.keys())
def test_anything_else_is_refused(change):
    data = change
    if isinstance(change, dict):
        data = json.dumps(json.loads(manifest.to_json(MANIFEST)) | change).encode()
    with pytest.raises(ValueError):
        manifest.from_json(data)
