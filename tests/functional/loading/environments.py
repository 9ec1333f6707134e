# SPDX-FileCopyrightText: The nova-docker authors
# SPDX-License-Identifier: Apache-2.0
"""Python environments as operators have them: ours beside Nova, ours elsewhere, ours as a checkout."""

import os
import shutil
import subprocess
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[3]
VERSION = f"python{sys.version_info.major}.{sys.version_info.minor}"


def build_wheel(into: Path) -> Path:
    """Build the project's wheel and return its file."""
    # Not isolated: the locked environment has the build backend, and no registry is asked.
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(into)]
    subprocess.run(command, cwd=PROJECT, check=True, capture_output=True, text=True)
    (wheel,) = into.glob("*.whl")
    return wheel


def nova_without_ours(folder: Path) -> Path:
    """Make a site-packages that has all of this environment but nova-docker: links, in milliseconds."""
    source = Path(sysconfig.get_paths()["purelib"])
    ours = ("novadocker", "nova_docker", "_nova_docker", "_editable_impl_nova_docker", "nova-docker-loader")
    folder.mkdir(parents=True, exist_ok=True)
    for entry in source.iterdir():
        if entry.name != "nova" and not entry.name.startswith(ours):
            (folder / entry.name).symlink_to(entry)
    # Real folders where the wheel puts files of its own.
    for package in ("nova", "nova/virt"):
        (folder / package).mkdir()
        for entry in (source / package).iterdir():
            if entry.name not in ("virt", "novadocker", "__pycache__"):
                (folder / package / entry.name).symlink_to(entry)
    return folder


@dataclass(frozen=True)
class Environment:
    """A virtual environment of this Python."""

    root: Path

    @classmethod
    def create(cls, root: Path) -> "Environment":
        base = Path(sys.base_prefix) / "bin" / VERSION
        subprocess.run([base, "-m", "venv", "--without-pip", root], check=True, capture_output=True)
        return cls(root)

    @property
    def python(self) -> Path:
        return self.root / "bin" / "python"

    @property
    def site_packages(self) -> Path:
        return (
            self.root / "lib" / f"python{sys.version_info.major}.{sys.version_info.minor}" / "site-packages"
        )

    def see(self, folder: Path) -> None:
        """Append a folder to the environment's path, behind its own site-packages."""
        (self.site_packages / "also.pth").write_text(f"{folder}\n")

    def install(self, *what: str | Path) -> None:
        """Install with uv and nothing but what is named."""
        beside = Path(sys.executable).with_name("uv")
        uv = beside if beside.exists() else shutil.which("uv")
        assert uv, "uv is neither beside this Python nor on PATH: run 'make .venv'"
        command = [uv, "pip", "install", "--offline", "--no-deps", "--no-build-isolation", *what]
        environment = {**os.environ, "VIRTUAL_ENV": str(self.root)}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr

    def run(self, code: str, **environment: str) -> str:
        """Run Python code away from the checkout and return what it printed; stderr must stay empty."""
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
        done = subprocess.run(
            [self.python, "-W", "ignore", "-c", code],
            env={**inherited, "OS_NOVA_DISABLE_EVENTLET_PATCHING": "true", **environment},
            cwd=self.root,
            capture_output=True,
            text=True,
            check=False,
        )
        assert (done.returncode, done.stderr) == (0, ""), done.stderr
        return done.stdout.strip()
