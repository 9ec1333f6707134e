# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""Signed images, verified by Nova with a key manager's certificates while the driver fetches them."""

import base64
import datetime

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from tests.e2e import barbican


class Signer:
    """A key, and its certificate in the key manager."""

    def __init__(self, keys: barbican.KeyManager, name: str) -> None:
        self._key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
        now = datetime.datetime.now(datetime.UTC)
        usage = dict.fromkeys(
            (
                "content_commitment", "key_encipherment", "data_encipherment", "key_agreement", "crl_sign",
                "encipher_only", "decipher_only",
            ),
            False,
        )  # fmt: skip
        certificate = (
            x509.CertificateBuilder(subject, subject, self._key.public_key(), x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=1))
            .not_valid_after(now + datetime.timedelta(days=1))
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(x509.KeyUsage(digital_signature=True, key_cert_sign=True, **usage), critical=True)
            .sign(self._key, hashes.SHA256())
        )
        self.id = keys.keep(certificate.public_bytes(serialization.Encoding.PEM))

    def properties(self, content: bytes) -> dict[str, str]:
        """What an image says of its signature."""
        how = padding.PSS(padding.MGF1(hashes.SHA256()), padding.PSS.MAX_LENGTH)
        return {
            "img_signature": base64.b64encode(self._key.sign(content, how, hashes.SHA256())).decode(),
            "img_signature_hash_method": "SHA-256",
            "img_signature_key_type": "RSA-PSS",
            "img_signature_certificate_uuid": self.id,
        }


@pytest.fixture
def keys(own_cloud, tmp_path):
    """The cloud's docker host with a key manager, taking signed images only."""
    with barbican.running(own_cloud, tmp_path) as keys:
        options = {
            "key_manager": {"backend": "barbican"},
            "barbican": {
                "barbican_endpoint": keys.url,
                "auth_endpoint": own_cloud.connection.config.config["auth"]["auth_url"],
            },
            "glance": {"verify_glance_signatures": True},
        }
        with own_cloud.configured("nova-docker/nova-docker.conf", options, restart=["nova-docker"]):
            yield keys


def test_only_what_is_signed_by_whom_is_trusted_boots(own_cloud, keys, demo):
    cloud, content = own_cloud, demo.container.read_bytes()
    signer, other = Signer(keys, "signer"), Signer(keys, "other")
    forged = signer.properties(b"another content")
    properties = {"signed": signer.properties(content), "forged": forged, "unsigned": {}}
    images = {name: cloud.image(f"e2e-{name}", content, container_format="docker") for name in properties}
    for name, told in properties.items():
        cloud.connection.image.update_image(images[name], **told)
    compute, tiny = cloud.connection.compute, cloud.connection.compute.find_flavor("m1.tiny").id

    def outcome(name: str, trusted: str | None) -> tuple[str, str]:
        body = {"name": f"e2e-{name}", "imageRef": images[name].id, "flavorRef": tiny, "networks": "none"}
        more = {"trusted_image_certificates": [trusted]} if trusted else {}
        answer = compute.post("/servers", json={"server": {**body, **more}}, microversion="2.63")
        made = answer.json()["server"]["id"]
        try:
            settled = cloud.settled(compute.get_server(made))
            return settled.status, (settled.fault or {}).get("message", "")
        finally:
            cloud.remove(made)

    try:
        assert outcome("signed", signer.id) == ("ACTIVE", "")
        # On the daemon already, and yet not for somebody who trusts another.
        status, words = outcome("signed", other.id)
        assert status == "ERROR"
        assert "certificate" in words.lower()
        for name in ("forged", "unsigned"):
            status, words = outcome(name, None)
            assert status == "ERROR", name
            assert "signature" in words.lower(), words
            status, words = outcome(name, signer.id)
            assert status == "ERROR", name
        assert outcome("signed", None) == ("ACTIVE", "")
    finally:
        for image in images.values():
            cloud.connection.image.delete_image(image)
