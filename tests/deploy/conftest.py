"""The files that run ringwatch in containers, read once."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

ROOT = Path(__file__).resolve().parents[2]
RunTool = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="session")
def read_yaml() -> Callable[[str], Any]:
    """Give a function that reads a YAML file by its path from the top folder."""
    pytest.importorskip("yaml", reason="PyYAML is not installed; it is in the group `test` of pyproject.toml")
    return lambda path: msgspec.yaml.decode((ROOT / path).read_bytes())


@pytest.fixture(scope="session")
def compose(read_yaml: Callable[[str], Any]) -> dict[str, Any]:
    """The compose file."""
    read: dict[str, Any] = read_yaml("docker-compose.yml")
    return read


@pytest.fixture(scope="session")
def run_tool() -> RunTool:
    """Run a program that is not part of the project, in the top folder; skip the test where there is none."""

    def run(name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        if shutil.which(name) is None:
            pytest.skip(f"{name} is not installed here")
        return subprocess.run(
            [name, *arguments],
            cwd=ROOT,
            # What a shell happens to export would win over the variables of a test.
            env={key: os.environ[key] for key in ("PATH", "HOME") if key in os.environ},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    return run


@pytest.fixture(scope="session")
def run_compose(run_tool: RunTool) -> RunTool:
    """Run Docker Compose, by itself or as Docker's plugin; skip the test where there is none. It needs no engine."""
    program = ["docker-compose"] if shutil.which("docker-compose") else ["docker", "compose"]

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        if run_tool(*program, "version").returncode != 0:
            pytest.skip("docker has no compose here")
        return run_tool(*program, *arguments)

    return run
