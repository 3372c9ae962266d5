from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from prometheus_client import CollectorRegistry

from ringwatch.register import open_register, watch_register
from schemas.settings import ConfigurationError, Settings
from sinks.feed.service import create_service
from streams.ingest.register_routes import register_routes

TOKEN = "the API token of the tests"
OWN = "+14155550123"

Send = Callable[..., httpx.Response]


def serve(settings: Settings) -> Send:
    """Serve the register's routes as the gateway's process does; give a function that sends a request."""
    registry = CollectorRegistry()
    files, _ = open_register(settings, registry)
    routes = register_routes(files, limit=settings.limits.register_body_bytes)
    app = create_service(settings=settings, registry=registry, readiness={}, extra_routes=routes)

    async def send(method: str, path: str, body: str | bytes = b"", media: str = "text/csv") -> httpx.Response:
        transport = httpx.ASGITransport(app=app)
        headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": media}
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            return await client.request(method, path, content=body, headers=headers)

    return lambda *given, **named: asyncio.run(send(*given, **named))


async def until(holds: Callable[[], bool]) -> None:
    """Wait until something holds, ten seconds at most."""
    async with asyncio.timeout(10):
        while not holds():  # noqa: ASYNC110 - what is waited for sets no event
            await asyncio.sleep(0.01)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A register of one number and one campaign."""
    path = tmp_path / "register.toml"
    path.write_text(f'[[numbers]]\nnumber = "{OWN}"\n[[campaigns]]\ncampaign = "sale"\n', encoding="utf-8")
    return path


@pytest.fixture
def send(path: Path) -> Send:
    """Sends to a service on that register."""
    return serve(Settings(register_file=path, api_token=TOKEN))


def test_rows_sent_are_loaded_at_once_and_are_in_the_file(send: Send, path: Path) -> None:
    """PUT answers what is loaded then, GET the same, the file has it, and the metrics count it."""
    contacts = "contact,state\n" + "".join(f"+1202555{line:04},CA\n" for line in range(5_000))
    assert len(contacts) > 65_536, "more than other routes take"
    answer = send("PUT", "/v1/register/contacts", contacts)
    assert answer.status_code == 200, answer.text
    state = answer.json()
    assert (state["numbers"], state["campaigns"], state["contacts"], state["error"]) == (1, 1, 5_000, None)
    assert send("GET", "/v1/register").json() == state
    assert state["files"] == [str(path)]
    assert "+12025554999" in path.read_text(encoding="utf-8")
    metrics = send("GET", "/metrics").text
    assert "ringwatch_register_contacts 5000.0" in metrics
    assert "ringwatch_register_last_load_successful 1.0" in metrics


def test_toml_is_taken_as_well(send: Send) -> None:
    """The same rows may be sent as TOML."""
    answer = send("PUT", "/v1/register/campaigns", '[[campaigns]]\ncampaign = "renewals"\n', "application/toml")
    assert (answer.status_code, answer.json()["campaigns"]) == (200, 1)


@pytest.mark.parametrize(
    ("request_of", "status", "says"),
    [
        (("PUT", "/v1/register/numbers", "number\n1\n+1\n"), 422, "body:2: number: write the number as E.164"),
        (("PUT", "/v1/register/numbers", "contact\n"), 422, "body:1: contact: no such column"),
        (("PUT", "/v1/register/numbers", "{}", "application/json"), 415, "text/csv or application/toml"),
        (("PUT", "/v1/register/people", "contact\n"), 422, "kind"),
        (("PUT", "/v1/register/numbers", b"number\n" + b"+14155550124\n" * 200), 413, "over 2048 bytes"),
    ],
)
def test_what_cannot_be_used_is_refused_and_changes_nothing(
    path: Path, request_of: tuple[str, ...], status: int, says: str
) -> None:
    """Each refusal says what to do; file and register stay."""
    before = path.read_bytes()
    send = serve(Settings(register_file=path, api_token=TOKEN, limits={"register_body_bytes": 2_048}))
    answer = send(*request_of)
    assert (answer.status_code, says in answer.json()["detail"]) == (status, True), answer.text
    assert path.read_bytes() == before
    assert send("GET", "/v1/register").json()["numbers"] == 1


def test_without_a_file_the_answer_says_what_to_set() -> None:
    """Rows for which no file is configured are answered 409."""
    answer = serve(Settings(api_token=TOKEN))("PUT", "/v1/register/contacts", "contact\n")
    assert answer.status_code == 409
    assert "set contacts_file" in answer.json()["detail"]


def test_only_who_may_ask_is_answered(path: Path) -> None:
    """Without the token nothing is told and nothing written."""
    before = path.read_bytes()
    send = serve(Settings(register_file=path, api_token="another"))
    assert send("GET", "/v1/register").status_code == 401
    assert send("PUT", "/v1/register/numbers", "number\n").status_code == 401
    assert path.read_bytes() == before


def test_a_changed_file_is_seen_while_the_process_runs(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The part that watches takes a change to the terms, and keeps on after a bad file."""
    monkeypatch.setattr("ringwatch.register._LOOK_SECONDS", 0.01)
    monkeypatch.setattr("streams.ingest.register_files._SETTLED_SECONDS", 0.01)

    async def watch() -> None:
        files, terms = open_register(Settings(register_file=path), CollectorRegistry())
        stop = asyncio.Event()
        watching = asyncio.create_task(watch_register(files, stop))
        await asyncio.to_thread(path.write_text, "numbers = 3\n", encoding="utf-8")
        await until(lambda: files.error is not None)
        assert terms.now.register.campaign_of(OWN) is None
        text = f'[[numbers]]\nnumber = "{OWN}"\ncampaign = "renewals"\n'
        await asyncio.to_thread(path.write_text, text, encoding="utf-8")
        await until(lambda: terms.now.register.campaign_of(OWN) == "renewals")
        assert files.error is None
        stop.set()
        await watching

    asyncio.run(watch())


def test_at_the_start_a_bad_register_is_refused(path: Path) -> None:
    """A process does not begin on a register that can't be used."""
    path.write_text("numbers = 3\n", encoding="utf-8")
    with pytest.raises(ConfigurationError, match=r"\[\[numbers\]\] tables"):
        open_register(Settings(register_file=path), CollectorRegistry())
