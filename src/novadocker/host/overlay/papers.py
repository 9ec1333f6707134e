# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""The files, from templates: pure."""

import json
from typing import Any

import jinja2

from novadocker import oci_runtime
from novadocker.host.overlay import model, routine
from novadocker.host.overlay.decide import Decided
from novadocker.host.overlay.model import Overlay, Rendered

_TEMPLATES = jinja2.Environment(
    loader=jinja2.PackageLoader("novadocker.host.overlay"),
    undefined=jinja2.StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    keep_trailing_newline=True,
    autoescape=False,
)


def write(decided: Decided) -> Overlay:
    """Write down what was decided."""
    files = [
        Rendered(name=model.OVERLAY.name, content=_text("nova-docker.conf", decided), place=model.OVERLAY),
        _unit(model.SERVICE, decided),
    ]
    if decided.own_engine:
        files += [
            _unit(model.ENGINE, decided),
            Rendered(name=model.DAEMON.name, content=_daemon(), place=model.DAEMON),
            Rendered(
                name=model.RUNTIME.name,
                content=oci_runtime.program(gates=str(model.GATES), namespaces=str(model.NAMESPACES)),
                place=model.RUNTIME,
                mode=0o755,
            ),
            Rendered(
                name=model.SANDBOX_RUNTIME.name,
                content=oci_runtime.sandbox_program(),
                place=model.SANDBOX_RUNTIME,
                mode=0o755,
            ),
        ]
    if decided.division.libvirt:
        files.append(Rendered(name="libvirt.conf.add", content=_text("libvirt.conf.add", decided)))
    files.append(Rendered(name="scheduler.conf.add", content=_text("scheduler.conf.add", decided)))
    steps = routine.steps(decided, files)
    text = _text("README.txt", decided, steps=steps, files=files)
    return Overlay(
        facts=decided.facts,
        problems=decided.problems,
        files=(Rendered(name="README.txt", content=text), *files),
        steps=tuple(steps),
    )


def _text(name: str, decided: Decided, **more: Any) -> str:
    return _TEMPLATES.get_template(f"{name}.j2").render(it=decided, where=model, **more)


def _unit(name: str, decided: Decided) -> Rendered:
    file = f"{name}.service"
    return Rendered(name=file, content=_text(file, decided), place=model.UNITS / file)


def _daemon() -> str:
    settings = {
        "hosts": [f"unix://{model.SOCKET}"],
        "group": "root",
        "data-root": str(model.STORAGE),
        "exec-root": str(model.ENGINE_RUN / "exec"),
        "pidfile": str(model.ENGINE_RUN / "dockerd.pid"),
        # On a containerd that another dockerd uses, too, each sees its own containers alone.
        "containerd-namespace": model.SERVICE,
        "bridge": "none",
        "iptables": False,
        "ip6tables": False,
        "ip-forward": False,
        "userns-remap": "default",
        "storage-driver": "btrfs",
        "live-restore": True,
        "runtimes": {
            oci_runtime.NAME: {"path": str(model.RUNTIME)},
            oci_runtime.SANDBOXES: {"path": str(model.SANDBOX_RUNTIME)},
        },
        "default-runtime": oci_runtime.NAME,
        "log-level": "warn",
    }
    return json.dumps(settings, indent=2) + "\n"
