# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""Which images are fetched, and when again."""

import io

import pytest
from cryptography.exceptions import InvalidSignature
from tests.unit.virt.docker.conftest import Bench

from novadocker.virt.docker.adapter import base
from novadocker.virt.docker.errors import ImageRejected


@pytest.mark.parametrize(("certificates", "fetched"), [(None, 1), (["a certificate"], 2)])
def test_an_image_that_is_here_is_fetched_again_only_to_check_its_signature(
    bench: Bench, certificates: list[str] | None, fetched: int
) -> None:
    images = bench.driver()._images
    image = bench.server().image_ref
    first = images.ensure(None, image, disk_limit=1 << 30)
    again = images.ensure(None, image, disk_limit=1 << 30, trusted_certs=certificates)
    assert first == again
    assert len(bench.fetched) == fetched
    assert bench.fetched[-1][1] == certificates


def test_a_forged_image_is_refused_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    class Glance:
        def download(self, *_: object, **__: object) -> None:
            raise InvalidSignature

    monkeypatch.setattr(base.glance, "API", Glance)
    with pytest.raises(ImageRejected, match="signature does not fit its content"):
        base._fetch(None, "image", io.BytesIO(), trusted_certs=None)
