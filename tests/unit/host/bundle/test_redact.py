# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""Secrets go out of texts; the rest stays as it is."""

import base64
import json
from urllib.parse import quote

import pytest

from novadocker.host.bundle.redact import STARS, Redactor, told_in

KNOWN = 'p@ss/w"rd-1234'
TOKEN = "gAAAAABnQ2hlY2stdGhpcy1pcy1ub3QtYS1yZWFsLXRva2Vu"
KEY = "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaA==\nAAAA\n-----END OPENSSH PRIVATE KEY-----"

# A line, and what of it must be gone.
TOLD = {
    "option": ("password = hunter22", "hunter22"),
    "option with a dash": ("metadata_proxy_shared_secret=hunter22", "hunter22"),
    "url": ("connection = mysql+pymysql://nova:hunter22@localhost/nova?x=1", "hunter22"),
    "transport": ("transport_url = rabbit://nova-docker:hunter22@127.0.0.1:5672/", "hunter22"),
    "json": ('{"auth": {"password": "hunter22"}}', "hunter22"),
    "python": ("{'adminPass': 'hunter22', 'name': 'web'}", "hunter22"),
    "yaml": ("    password: hunter22", "hunter22"),
    "header": ("X-Auth-Token: hunter22hunter22", "hunter22"),
    "header in a table": ("'X-Auth-Token': 'hunter22hunter22'", "hunter22"),
    "basic": ("Authorization: Basic bm92YTpodW50ZXIyMg==", "bm92YTpodW50ZXIyMg"),
    "command line": ("mysql --user=nova --password=hunter22 nova", "hunter22"),
    "command line, apart": ("openstack --os-password hunter22 server list", "hunter22"),
    "environment": ("OS_PASSWORD=hunter22 OS_USERNAME=nova", "hunter22"),
    "console": ("ws://127.0.0.1:6083/?token=0e2d7a5e-8a3f-4c39-9d3c-7d3f1a5b6c7d", "0e2d7a5e"),
    "console in the log": ("connect info: {'token': '0e2d7a5e-8a3f-4c39'}", "0e2d7a5e"),
    "token": (f"issued {TOKEN} for nova", TOKEN),
    "key": (f"key:\n{KEY}\nend", "b3BlbnNzaA"),
    "key cut off": (KEY[:60], "b3BlbnNzaA"),
}
KEPT = (
    "send_service_user_token = True",
    "service_token_roles = service",
    " cookie=0x1a2b, duration=7.8s, table=0, priority=0 actions=resubmit(,58)",
    "memcached_servers = 127.0.0.1:11211",
    "http://127.0.0.1:5000/v3 answered 200",
    "2026-11-22 16:00:01.0 1 INFO nova.api [None req-9bdd031d] GET /v2.1/servers/detail status: 200",
    "token_cache_time = 300",
)


@pytest.mark.parametrize(("line", "gone"), TOLD.values(), ids=TOLD)
def test_what_looks_like_a_secret_goes(line, gone):
    done = Redactor([]).text(line)
    assert gone not in done
    assert STARS in done


@pytest.mark.parametrize("line", KEPT)
def test_what_is_none_stays(line):
    assert Redactor([]).text(line) == line


def test_what_stands_beside_a_secret_stays():
    line = "connection = mysql+pymysql://nova:hunter22@localhost/nova?unix_socket=/run/x"
    assert (
        Redactor([]).text(line)
        == f"connection = mysql+pymysql://nova:{STARS}@localhost/nova?unix_socket=/run/x"
    )
    assert Redactor([]).text("env OS_PASSWORD=hunter22 nova list") == f"env OS_PASSWORD={STARS} nova list"


@pytest.mark.parametrize(
    "form",
    [KNOWN, quote(KNOWN, safe=""), json.dumps(KNOWN)[1:-1], base64.b64encode(KNOWN.encode()).decode()],
    ids=["as it is", "in a URL", "in JSON", "in base64"],
)
def test_what_is_known_goes_wherever_it_stands(form):
    assert form.rstrip("=") not in Redactor([KNOWN]).text(f"nobody would know |{form}| for one")


def test_the_longer_of_two_goes_whole():
    assert Redactor(["secret-one", "secret-one-more"]).text("a secret-one-more b") == f"a {STARS} b"


def test_values_are_redacted_and_keep_their_shape():
    before = {"words": ["nova", "--password=hunter22"], "n": 7, "none": None, "db_password": "x",
              "deep": {"url": "amqp://a:hunter22@b"}}  # fmt: skip
    after = Redactor([]).value(before)
    assert after == {"words": ["nova", f"--password={STARS}"], "n": 7, "none": None, "db_password": STARS,
                     "deep": {"url": f"amqp://a:{STARS}@b"}}  # fmt: skip


def test_a_configuration_tells_its_secrets():
    text = (
        "[DEFAULT]\ntransport_url = rabbit://u:first-one@h/\n[keystone_authtoken]\npassword = second-one\n"
        "send_service_user_token = true\npassword = secret\nusername = nova\n"
    )
    assert told_in(text) == {"first-one", "second-one"}
