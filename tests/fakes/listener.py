# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""Who is told how steps go, and remembers it."""

from novadocker.errors import NovaDockerError
from novadocker.host.steps import Step


class Listener:
    def __init__(self) -> None:
        self.told: list[str] = []
        self.errors: dict[str, NovaDockerError] = {}

    def began(self, step: Step) -> None:
        self.told.append(f"began {step.name}")

    def ended(self, step: Step, *, seconds: float, changed: bool) -> None:
        assert seconds >= 0
        self.told.append(f"{'changed' if changed else 'found'} {step.name}")

    def failed(self, step: Step, error: NovaDockerError, *, seconds: float) -> None:
        assert seconds >= 0
        self.told.append(f"failed {step.name}")
        self.errors[step.name] = error
