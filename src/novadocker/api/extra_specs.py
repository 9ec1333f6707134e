# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""nova-api refuses a `docker:*` extra spec that is none, or has a value that cannot be (from 2.86 on).

Found through Nova's entry point `nova.api.extra_spec_validators`: nova-docker must be installed where
nova-api is.
"""

from typing import Any

from nova.api.validation.extra_specs import base

from novadocker.extra_specs import TABLE, ExtraSpec


def register() -> list[Any]:
    """Return a validator for each of our extra specs."""
    return [
        base.ExtraSpecValidator(name=one.name, description=one.what, value=_allowed(one)) for one in TABLE
    ]


def _allowed(spec: ExtraSpec) -> dict[str, Any]:
    if spec.kind is int:
        return {"type": int, "min": spec.least, "max": spec.most}
    return {"type": spec.kind, "pattern": spec.pattern} if spec.pattern else {"type": spec.kind}
