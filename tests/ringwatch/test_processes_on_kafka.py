from __future__ import annotations

import json
import re
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import duckdb
import httpx
import msgspec
import pytest
from click.testing import CliRunner

from ringwatch.cli import cli
from schemas.settings import Settings, load_settings
from sinks.history.store import History
from streams.agents.app import CHANGELOGS
from streams.detectors.opt_out import RULE as OPT_OUT
from streams.ingest.simulator import Line
from streams.ingest.simulator.signing import SignedRequest, signer
from streams.transports.kafka.topics import create_topics

pytestmark = pytest.mark.kafka

_PARTITIONS = 2
_LINES = 300

StartChild = Callable[..., Any]


@pytest.fixture
def broker(fresh_kafka: str) -> str:
    """The URL of a broker without ringwatch's topics."""
    return f"kafka://{fresh_kafka}"


@pytest.fixture
def topics(broker: str, config: Path) -> None:
    """All topics, of two partitions each."""
    create_topics(load_settings(config, broker=broker, partitions=_PARTITIONS), CHANGELOGS)


@pytest.fixture
def start(start_child: StartChild, broker: str, config: Path, settings: Settings, traffic: Any) -> Callable[..., Any]:
    """Give a function that starts a command on the broker, with a data folder of its own."""
    token = settings.accounts[traffic.account_sid].get_secret_value()
    assert settings.api_token is not None
    environment = {
        "RINGWATCH_BROKER": broker,
        "RINGWATCH_PARTITIONS": str(_PARTITIONS),
        "RINGWATCH_ACCOUNTS": json.dumps({traffic.account_sid: token}),
        "RINGWATCH_PUBLIC_URL": settings.public_url or "",
        "RINGWATCH_API_TOKEN": settings.api_token.get_secret_value(),
    }

    def run(command: str, *, name: str = "", **more: str) -> Any:
        data = settings.data / (name or command)
        arguments = (command, "--data", str(data), "--http", "127.0.0.1:0", "--config", str(config))
        return start_child(*arguments, **environment, **more)

    return run


@pytest.fixture
def client(authorised: dict[str, str]) -> Iterator[httpx.Client]:
    """Asks the children's APIs."""
    with httpx.Client(headers=authorised, timeout=30, trust_env=False) as asking:
        yield asking


@pytest.fixture
def sign(settings: Settings, traffic: Any) -> Callable[[Line], SignedRequest]:
    """Signs lines as Twilio would."""
    return signer(settings.accounts[traffic.account_sid].get_secret_value(), settings.public_url or "")


def address_of(child: Any, wait_until: Any) -> str:
    """Where a child says that it listens."""

    def said() -> re.Match[str] | None:
        assert child.process.poll() is None, child.said
        return re.search(r"listens on (http://\S+)", child.said)

    wait_until(lambda: said() is not None, "the program to listen")
    found = said()
    assert found is not None
    return found[1]


def wait_until_ready(client: httpx.Client, address: str, wait_until: Any) -> dict[str, str]:
    """Wait until a child is ready; give what its checks say."""
    wait_until(lambda: client.get(f"{address}/readyz").is_success, f"{address} to be ready")
    checks: dict[str, str] = client.get(f"{address}/readyz").json()["checks"]
    return checks


def some_lines(traffic: Any) -> list[Line]:
    """Some calls, and every opt-out there is."""
    voice = [line for line in traffic.stretch if line.path.startswith("/twilio/voice/")][:_LINES]
    others = [line for line in traffic.stretch if line.path.startswith(("/twilio/messaging", "/twilio/gather"))]
    assert others
    return [*voice, *others]


def send(client: httpx.Client, address: str, request: SignedRequest) -> None:
    """Send a signed request, which must be taken."""
    answer = client.post(f"{address}{request.path}", content=request.body, headers=request.headers)
    assert answer.is_success, answer.text


def opted_out(client: httpx.Client, address: str) -> set[str]:
    """Who has opted out, as the alerts say."""
    answer = client.get(f"{address}/v1/alerts", params={"rule": OPT_OUT}).raise_for_status()
    return {item["subject"]["value"] for item in answer.json()["items"]}


def ask(data: Path, query: str) -> list[dict[str, Any]]:
    """What `ringwatch sql` answers."""
    said = CliRunner().invoke(cli, ["sql", query, "--data", str(data), "--json"])
    assert said.exit_code == 0, said.output
    rows: list[dict[str, Any]] = json.loads(said.stdout)
    return rows


def half_sent(address: str, request: SignedRequest) -> socket.socket:
    """A connection on which all of a request but its last byte was sent."""
    place = urlsplit(address)
    connection = socket.create_connection((place.hostname or "", place.port or 0), timeout=30)
    headers = {**request.headers, "Host": place.netloc, "Content-Length": str(len(request.body))}
    head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    connection.sendall(f"POST {request.path} HTTP/1.1\r\n{head}\r\n".encode() + request.body[:-1])
    return connection


@pytest.mark.usefixtures("topics")
def test_callbacks_go_through_four_processes(
    start: Callable[..., Any],
    client: httpx.Client,
    sign: Callable[[Line], SignedRequest],
    settings: Settings,
    traffic: Any,
    wait_until: Any,
) -> None:
    """Signed callbacks come out as alerts of the feed and rows of the history, and SIGTERM ends each process well."""
    children = {name: start(name) for name in ("gateway", "worker", "history", "feed")}
    addresses = {name: address_of(child, wait_until) for name, child in children.items()}
    for address in addresses.values():
        wait_until_ready(client, address, wait_until)
        assert client.get(f"{address}/metrics", headers={"Authorization": "Bearer wrong"}).status_code == 401
    lines = some_lines(traffic)
    for line in lines:
        send(client, addresses["gateway"], sign(line))
    people = {incident.subject.value for incident in traffic.incidents if incident.rule == OPT_OUT}
    assert people
    wait_until(lambda: opted_out(client, addresses["feed"]) == people, "the opt-outs to be alerted of")

    calls = {line.params["CallSid"] for line in lines if line.path.startswith("/twilio/voice/")}
    data = settings.data / "history"
    count = "select count(*) as calls from calls"
    wait_until(lambda: ask(data, count) == [{"calls": len(calls)}], "the calls to be in the history")
    assert ask(data, "select count(*) as letters from dead_letters") == [{"letters": 0}]

    def lags() -> set[float]:
        text = client.get(f"{addresses['worker']}/metrics").text
        pattern = r'^ringwatch_agents_lag_records\{partition="\d+",topic="\w+"\} (\S+)$'
        return {float(lag) for lag in re.findall(pattern, text, re.MULTILINE)}

    wait_until(lambda: lags() == {0.0}, "the worker to be through")
    accepted = client.post(f"{addresses['feed']}/v1/optouts", json={"contact": "+12025550123", "source": "api"})
    assert accepted.status_code == 202, accepted.text
    wait_until(lambda: "+12025550123" in opted_out(client, addresses["feed"]), "the reported opt-out")

    # A request that is under way as the gateway is told to end is finished and answered.
    with half_sent(addresses["gateway"], sign(lines[0])) as connection:
        wait_until(lambda: client.get(f"{addresses['gateway']}/healthz").is_success, "the gateway to be idle")
        children["gateway"].process.terminate()
        connection.sendall(sign(lines[0]).body[-1:])
        assert connection.recv(1_000).startswith(b"HTTP/1.1 20")
    assert children["gateway"].process.wait(60) == 0, children["gateway"].said
    for name in ("worker", "history", "feed"):
        assert children[name].stop() == 0, f"{name}: {children[name].said}"
    for name, child in children.items():
        assert "Traceback" not in child.said, f"{name}: {child.said}"
    assert ask(data, count) == [{"calls": len(calls)}]
    statuses = "select count(*) as statuses from callbacks where endpoint = '/twilio/voice'"
    assert ask(data, statuses) == [{"statuses": len(lines) - len(_opt_outs(lines)) + 1}]


def _opt_outs(lines: list[Line]) -> list[Line]:
    return [line for line in lines if not line.path.startswith("/twilio/voice/")]


@pytest.mark.usefixtures("topics")
def test_up_runs_everything_on_kafka(
    start: Callable[..., Any],
    client: httpx.Client,
    sign: Callable[[Line], SignedRequest],
    settings: Settings,
    traffic: Any,
    wait_until: Any,
) -> None:
    """All parts in one process work on Kafka as on the embedded log, and go on where they ended."""
    opt_outs = _opt_outs(some_lines(traffic))
    people = {incident.subject.value for incident in traffic.incidents if incident.rule == OPT_OUT}

    def run(lines: list[Line], known: set[str]) -> None:
        child = start("up")
        address = address_of(child, wait_until)
        checks = wait_until_ready(client, address, wait_until)
        assert set(checks) == {"gateway", "agents", "history", "alerts", "windows", "notifications"}
        assert opted_out(client, address) == known
        for line in lines:
            send(client, address, sign(line))
        wait_until(lambda: opted_out(client, address) > known, "alerts")
        wait_until(lambda: opted_out(client, address) == people or lines != opt_outs, "all alerts")
        known |= opted_out(client, address)
        assert child.stop() == 0, child.said
        assert "Traceback" not in child.said, child.said

    known: set[str] = set()
    run(opt_outs[:1], known)
    run(opt_outs, known)
    rows = ask(settings.data / "up", "select count(distinct contact) as people from opt_outs")
    assert rows == [{"people": len(people)}]


@pytest.mark.usefixtures("topics")
def test_the_report_says_who_has_which_partition(
    start: Callable[..., Any], client: httpx.Client, broker: str, wait_until: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every partition is somebody's once workers run; those without any are ready, and say so."""
    monkeypatch.setenv("RINGWATCH_BROKER", broker)
    monkeypatch.setenv("RINGWATCH_PARTITIONS", str(_PARTITIONS))

    def report(*options: str) -> Any:
        return CliRunner().invoke(cli, ["worker", "--partitions-report", *options])

    before = report()
    assert before.exit_code == 1
    assert "no worker has joined the group ringwatch yet; start one with `ringwatch worker`" in before.stdout
    assert {found["worker"] for found in json.loads(report("--json").stdout)["partitions"]} == {None}

    names = [f"worker-{number}" for number in range(_PARTITIONS + 1)]
    children = [start("worker", name=name, RINGWATCH_KAFKA__WORKER=name) for name in names]
    addresses = [address_of(child, wait_until) for child in children]

    def spread() -> bool:
        held = [found["partitions"] for found in json.loads(report("--json").stdout)["workers"]]
        return len(held) == len(names) and min(held) == 0 and sum(held) > 0 and max(held) < sum(held)

    wait_until(spread, "the partitions to be spread")
    found = msgspec.json.decode(report("--json").stdout)
    assert (found["group"], found["state"]) == ("ringwatch", "Stable")
    assert [worker["worker"] for worker in found["workers"]] == names
    owners = {partition["worker"] for partition in found["partitions"]}
    assert None not in owners
    [idle] = set(names) - owners
    checks = wait_until_ready(client, addresses[names.index(idle)], wait_until)
    assert checks == {"agents": "ready, without partitions: other workers have them all"}
    said = report()
    assert said.exit_code == 0
    assert re.search(rf"^{idle} +127\.0\.0\.1 +0 +0$", said.stdout, re.MULTILINE), said.stdout
    assert re.search(r"^callbacks +0 +worker-\d +- +0 +0$", said.stdout, re.MULTILINE), said.stdout


def test_missing_topics_are_refused(start: Callable[..., Any]) -> None:
    """Without its topics a command does not start, and says what to do."""
    child = start("gateway")
    assert child.process.wait(60) == 2, child.said
    assert "ringwatch: topic callbacks is missing: run `ringwatch topics create`" in child.said


@pytest.mark.usefixtures("topics")
def test_a_history_of_another_log_is_refused(start: Callable[..., Any], settings: Settings) -> None:
    """A history that has read further than Kafka's log reaches would take new records for old ones."""
    path = settings.data / "history" / "history.duckdb"
    History.open(path).close()
    with duckdb.connect(str(path)) as connection:
        connection.execute("insert into source_offsets values ('callbacks', 1, 1000)")
    child = start("history")
    assert child.process.wait(60) == 2, child.said
    assert "has read callbacks[1] up to 1000" in child.said
    assert "it belongs to another log" in child.said
