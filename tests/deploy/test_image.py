from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
import tomllib
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import msgspec
import pytest

ROOT = Path(__file__).resolve().parents[2]


def stages() -> list[list[tuple[str, str]]]:
    """The instructions of the Dockerfile with their arguments, stage by stage."""
    text = re.sub(r"^#.*\n", "", (ROOT / "Dockerfile").read_text(encoding="utf-8"), flags=re.MULTILINE)
    found: list[list[tuple[str, str]]] = []
    for line in text.replace("\\\n", " ").splitlines():
        instruction, _, rest = line.strip().partition(" ")
        if instruction == "FROM":
            found.append([])
        if instruction:
            found[-1].append((instruction, rest.strip()))
    return found


def last(instruction: str) -> str:
    """The argument of an instruction's last use in the final stage."""
    return [rest for name, rest in stages()[-1] if name == instruction][-1]


def test_the_linter_has_nothing_to_say(run_tool: Any) -> None:
    """Hadolint finds nothing in the Dockerfile."""
    linted = run_tool("hadolint", "Dockerfile")
    assert (linted.returncode, linted.stdout, linted.stderr) == (0, "", "")


def test_only_locked_packages_get_in() -> None:
    """Packages come from the lock with their hashes, as wheels, and everything after that without an index."""
    runs = " && ".join(rest for name, rest in stages()[0] if name == "RUN")
    download, *others = re.findall(r"pip (?:--python \S+ )?(?:download|install|wheel) [^&]+", runs)
    for option in ("--require-hashes", "--only-binary :all:", "--no-deps", "--requirement requirements.lock"):
        assert option in download
    assert len(others) == 3
    assert all("--no-index" in command for command in others)


def test_the_final_stage_has_no_tools_and_no_root() -> None:
    """The final stage installs nothing, runs as a user of its own, and stops on SIGTERM."""
    build, final = stages()
    assert build[0][1].removesuffix(" AS build") == final[0][1]
    runs = " ".join(rest for name, rest in final if name == "RUN")
    assert not re.search(r"\b(apt-get|pip|gcc|curl|wget)\b", runs)
    user = last("USER")
    assert re.fullmatch(r"[1-9]\d+:[1-9]\d+", user)
    assert f"--uid {user.partition(':')[0]}" in runs
    assert last("STOPSIGNAL") == "SIGTERM"
    assert msgspec.json.decode(last("ENTRYPOINT")) == ["ringwatch"]
    assert msgspec.json.decode(last("VOLUME")) == ["/var/lib/ringwatch"]


def test_all_of_the_program_is_copied() -> None:
    """The packages of the wheel, and what its build reads, are copied, and .dockerignore lets them through."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    packages = project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    wanted = {*packages, "pyproject.toml", "requirements.lock", project["project"]["readme"]}
    copied = {source for name, rest in stages()[0] if name == "COPY" for source in rest.split()[:-1]}
    allowed = re.findall(r"^!(.+)$", (ROOT / ".dockerignore").read_text(encoding="utf-8"), re.MULTILINE)
    assert copied == wanted
    assert set(allowed) == wanted
    assert all((ROOT / source).exists() for source in copied)


@pytest.mark.parametrize("status", [200, 503])
def test_the_health_check_tells_well_from_ill(status: int) -> None:
    """The image's health check succeeds only where /healthz answers 200, at the port that ringwatch was given."""

    class Health(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status if self.path == "/healthz" else 404)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name is the base class's
            pass

    words = msgspec.json.decode(last("HEALTHCHECK").partition(" CMD ")[2], type=list[str])
    assert words[0] == "python"
    with ThreadingHTTPServer(("127.0.0.1", 0), Health) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        environment = os.environ | {"RINGWATCH_HTTP": f"0.0.0.0:{server.server_port}"}
        code = subprocess.run([sys.executable, *words[1:]], env=environment, timeout=30, check=False).returncode
        server.shutdown()
    assert code == (0 if status == 200 else 1)
