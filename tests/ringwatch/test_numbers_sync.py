"""`numbers sync` against a local server whose answers are synthetic: made in the shapes that Twilio documents."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from click.testing import CliRunner, Result

from ringwatch.cli import cli
from schemas.register import RegisteredNumber, TrustHub, load_register
from schemas.settings import ConfigurationError, Settings
from streams.ingest.twilio_account import AccountNumber, TwilioAccountError, _PatientHttp, read_account

MAIN = "AC" + "0" * 32
SUB = "AC" + "1" * 32
TOKEN = "the auth token of the tests"

SHAKEN = "RN7a97559effdf62d00f4298208492a5ea"
CNAM = "RNf3db3cd1fe25fcfd3c3ded065c8fea53"
VOICE_INTEGRITY = "RN5b3660f9598883b1df4e77f77acefba0"
NEW_SHAKEN = "RN" + "a" * 32
A2P = "RNb0d4771c2c98518d916a3d4cd70a8f8b"

NUMBERS = {f"PN{place:032}": f"+1415555{place:04}" for place in range(1, 6)}
ONE, TWO, THREE, FOUR, FIVE = NUMBERS
OF_SUB = {"PN" + "f" * 32: "+14155559999"}


class SyntheticTwilio:
    """An account in memory, answered in pages of two rows as the API's documentation shows them.

    Attributes:
        requests: path and query of each request that was let in.
        failures: status and headers of the answers to come before any real one.
        profiles: SID, state and members of each customer profile.
        products: SID, policy, state and members of each trust product, and the end user assigned to it.
        users: SID, type and attributes of each end user.
    """

    def __init__(self) -> None:
        self.url = ""
        self.requests: list[str] = []
        self.failures: list[tuple[int, dict[str, str]]] = []
        self.next_page_host = ""
        self.profiles: dict[str, tuple[str, list[str]]] = {}
        self.products: dict[str, tuple[str, str, list[str], str | None]] = {}
        self.users: dict[str, tuple[str, dict[str, str]]] = {}

    def answer(self, target: str) -> Any:
        """Give the body of an answer; None for what is not there."""
        parts = urlsplit(target)
        page = int(parse_qs(parts.query).get("Page", ["0"])[0])
        match parts.path.strip("/").split("/"):
            case ["2010-04-01", "Accounts.json"]:
                rows = [{"sid": sid, "status": "active"} for sid in (MAIN, SUB)]
                return self._old_page(parts.path, "accounts", rows, page)
            case ["2010-04-01", "Accounts", account, "IncomingPhoneNumbers.json"]:
                numbers = OF_SUB if account == SUB else NUMBERS
                rows = [{"sid": sid, "account_sid": account, "phone_number": number} for sid, number in numbers.items()]
                return self._old_page(parts.path, "incoming_phone_numbers", rows, page)
            case ["v1", "CustomerProfiles"]:
                rows = [{"sid": sid, "status": state} for sid, (state, _) in self.profiles.items()]
            case ["v1", "TrustProducts"]:
                rows = [
                    {"sid": sid, "policy_sid": policy, "status": state}
                    for sid, (policy, state, _, _) in self.products.items()
                ]
            case ["v1", "Policies"]:
                rows = [
                    {"sid": NEW_SHAKEN, "friendly_name": "SHAKEN/STIR of tomorrow"},
                    {"sid": A2P, "friendly_name": "A2P"},
                ]
            case ["v1", "CustomerProfiles", sid, "ChannelEndpointAssignments"]:
                rows = _assignments(self.profiles[sid][1])
            case ["v1", "TrustProducts", sid, "ChannelEndpointAssignments"]:
                rows = _assignments(self.products[sid][2])
            case ["v1", "TrustProducts", sid, "EntityAssignments"]:
                objects = ["BU" + "9" * 32, self.products[sid][3]]
                rows = [{"sid": f"RA{place:032}", "object_sid": one} for place, one in enumerate(objects) if one]
            case ["v1", "EndUsers", sid] if sid in self.users:
                kind, attributes = self.users[sid]
                return {"sid": sid, "type": kind, "attributes": attributes}
            case _:
                return None
        return self._new_page(parts.path, rows, page)

    @staticmethod
    def _old_page(path: str, key: str, rows: list[Any], page: int) -> Any:
        """A page as the API of 2010 gives it."""
        following = f"{path}?Page={page + 1}&PageToken=x" if len(rows) > 2 * (page + 1) else None
        return {key: rows[2 * page : 2 * page + 2], "page": page, "page_size": 2, "next_page_uri": following}

    def _new_page(self, path: str, rows: list[Any], page: int) -> Any:
        """A page as Trust Hub gives it, with the whole address of the next one."""
        host = self.next_page_host or "https://trusthub.twilio.com"
        following = f"{host}{path}?Page={page + 1}&PageToken=x" if len(rows) > 2 * (page + 1) else None
        return {"results": rows[2 * page : 2 * page + 2], "meta": {"key": "results", "next_page_url": following}}


def _assignments(members: list[str]) -> list[dict[str, str]]:
    return [
        {"sid": f"RA{place:032}", "channel_endpoint_type": "phone-number", "channel_endpoint_sid": sid}
        for place, sid in enumerate(members)
    ]


@pytest.fixture
def twilio() -> Iterator[SyntheticTwilio]:
    """A server on a port of the system's choosing, with one account on it."""
    account = SyntheticTwilio()
    expected = "Basic " + base64.b64encode(f"{MAIN}:{TOKEN}".encode()).decode()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1  # an answer in one piece, or the kernel waits between head and body

        def do_GET(self) -> None:
            """Answer one request."""
            headers: dict[str, str] = {}
            if account.failures:
                status, headers = account.failures.pop(0)
                body: Any = {"code": 20_429, "message": "Too Many Requests", "status": status}
            elif self.headers["Authorization"] != expected:
                status, body = 401, {"code": 20_003, "message": "Authenticate", "status": 401}
            else:
                account.requests.append(self.path)
                body = account.answer(self.path)
                status = 404 if body is None else 200
            content = json.dumps(body).encode()
            self.send_response(status)
            for name, value in {
                "Content-Type": "application/json",
                "Content-Length": str(len(content)),
                **headers,
            }.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    account.url = f"http://127.0.0.1:{server.server_port}"
    yield account
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def with_trust_hub(twilio: SyntheticTwilio) -> SyntheticTwilio:
    """The account with profiles, products and a caller name."""
    twilio.profiles = {
        "BU1": ("twilio-approved", [ONE, TWO, THREE]),
        "BU2": ("draft", [THREE, FOUR]),
        "BU3": ("odd", [FIVE]),
    }
    twilio.products = {
        "BU11": (SHAKEN, "twilio-approved", [ONE], None),
        "BU12": (CNAM, "twilio-approved", [ONE, TWO], "IT1"),
        "BU13": (CNAM, "in-review", [THREE], "IT2"),
        "BU14": (VOICE_INTEGRITY, "pending-review", [ONE], None),
        "BU15": (NEW_SHAKEN, "twilio-rejected", [TWO], None),
        "BU16": (A2P, "twilio-approved", [ONE, TWO], None),
    }
    twilio.users = {"IT1": ("cnam_information", {"cnam_display_name": "ACME"}), "IT2": ("cnam_information", {})}
    return twilio


def settings_of(twilio: SyntheticTwilio, **more: Any) -> Settings:
    """Settings of the account on the local server."""
    return Settings(twilio={"account_sid": MAIN, "auth_token": TOKEN, "base_url": twilio.url, **more})


def test_all_that_the_account_says_is_read(with_trust_hub: SyntheticTwilio) -> None:
    """Numbers of all pages, each with the state that has got furthest, and the name of an approved CNAM product."""
    account = read_account(settings_of(with_trust_hub))
    approved = TrustHub.TWILIO_APPROVED
    assert account.has_trust_hub
    assert account.numbers == [
        AccountNumber(
            number=NUMBERS[ONE],
            trust_hub=approved,
            cnam="ACME",
            voice_integrity=TrustHub.PENDING_REVIEW,
            shaken=approved,
        ),
        AccountNumber(number=NUMBERS[TWO], trust_hub=approved, cnam="ACME", shaken=TrustHub.TWILIO_REJECTED),
        AccountNumber(number=NUMBERS[THREE], trust_hub=approved),
        AccountNumber(number=NUMBERS[FOUR], trust_hub=TrustHub.DRAFT),
        AccountNumber(number=NUMBERS[FIVE]),
    ]
    assert sum("Policies" in target for target in with_trust_hub.requests) == 1
    assert not any("BU16/" in target for target in with_trust_hub.requests), "messaging is none of its business"


def test_numbers_of_subaccounts_are_read_when_asked_for(twilio: SyntheticTwilio) -> None:
    """With `subaccounts` the numbers of all active accounts are there."""
    assert [one.number for one in read_account(settings_of(twilio)).numbers] == list(NUMBERS.values())
    both = read_account(settings_of(twilio, subaccounts=True))
    assert [one.number for one in both.numbers] == [*NUMBERS.values(), *OF_SUB.values()]


def test_it_waits_when_twilio_says_so(twilio: SyntheticTwilio) -> None:
    """After 429 it waits as long as it is asked to, else twice as long each time, and goes on."""
    twilio.failures = [(429, {"Retry-After": "7"}), (429, {}), (503, {}), (429, {"Retry-After": "600"})]
    pauses: list[float] = []
    account = read_account(settings_of(twilio), pauses.append)
    assert pauses == [7.0, 2.0, 4.0, 30.0]
    assert len(account.numbers) == len(NUMBERS)


def test_it_gives_up_after_some_time(twilio: SyntheticTwilio) -> None:
    """Twilio that never answers otherwise is told of with its own words."""
    twilio.failures = [(429, {})] * 20
    with pytest.raises(TwilioAccountError, match="429: Too Many Requests; try again"):
        read_account(settings_of(twilio), lambda _: None)
    assert len(twilio.failures) == 13


def test_a_wrong_secret_is_told_with_what_to_check(twilio: SyntheticTwilio) -> None:
    """A refused request names the settings, and never the secret."""
    with pytest.raises(TwilioAccountError, match="401: Authenticate") as refused:
        read_account(settings_of(twilio, auth_token="a wrong one"))
    assert "a wrong one" not in str(refused.value)
    assert "auth_token" in str(refused.value)


def test_the_secret_comes_from_where_callbacks_are_checked_by(twilio: SyntheticTwilio) -> None:
    """The only one of `accounts` needs no [twilio] section; without any, the error names the key."""
    known = Settings(accounts={MAIN: TOKEN}, twilio={"base_url": twilio.url})
    assert len(read_account(known).numbers) == len(NUMBERS)
    with pytest.raises(ConfigurationError, match=r"twilio\.account_sid: missing"):
        read_account(Settings())
    with pytest.raises(ConfigurationError, match=r"twilio\.auth_token: missing"):
        read_account(Settings(twilio={"account_sid": MAIN}))


def test_the_secret_goes_to_twilio_alone() -> None:
    """Neither another host in the settings nor one in an answer gets a request."""
    for url in ("http://192.0.2.1:80", "https://twilio.example.com", "http://localhost.example.com"):
        with pytest.raises(ValueError, match="an address of this machine"):
            Settings(twilio={"base_url": url})
    client = _PatientHttp(None, lambda _: None)
    for url in ("https://trusthub.twilio.com.example.com/v1", "http://api.twilio.com/", "https://192.0.2.1/twilio.com"):
        with pytest.raises(TwilioAccountError, match="nothing was sent"):
            client.request("GET", url)


@pytest.fixture
def run(twilio: SyntheticTwilio, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Run `ringwatch numbers` on the local server."""
    monkeypatch.chdir(tmp_path)
    for name, value in {"ACCOUNT_SID": MAIN, "AUTH_TOKEN": TOKEN, "BASE_URL": twilio.url}.items():
        monkeypatch.setenv(f"RINGWATCH_TWILIO__{name}", value)

    def run(*words: str, register: Path | None = None) -> Result:
        if register is not None:
            monkeypatch.setenv("RINGWATCH_REGISTER_FILE", str(register))
        return CliRunner().invoke(cli, ["numbers", *words], catch_exceptions=False)

    return run


@pytest.mark.usefixtures("with_trust_hub")
def test_what_people_wrote_stays_and_no_row_is_dropped(run: Any, tmp_path: Path) -> None:
    """Campaign, purpose, since and time zone stay; Trust Hub's states are as Twilio has them; numbers are added."""
    path = tmp_path / "numbers.csv"
    path.write_text(
        "number,campaign,purpose,since,cnam,trust_hub,time_zone\n"
        f"{NUMBERS[TWO]},sale,telemarketing,2026-11-01,OLD,draft,America/New_York\n"
        f"{NUMBERS[FIVE]},,,,BY HAND,twilio-approved,\n"
        "+12025550100,gone,,,,,\n",
        encoding="utf-8",
    )
    dry = run("sync", "--dry-run", register=path)
    assert (dry.exit_code, "nothing written" in dry.stderr) == (0, True), dry.output
    assert "OLD" in path.read_text(encoding="utf-8")
    done = run("sync", register=path)
    assert done.exit_code == 0, done.output
    assert dry.stdout == done.stdout
    assert "gone     +12025550100  no longer in the account" in done.stdout
    assert f"changed  {NUMBERS[TWO]}  cnam: OLD becomes ACME, trust_hub: draft becomes twilio-approved" in done.stdout
    assert f"5 numbers in the account: 3 new, 2 changed, 0 as they were; written to {path}" in done.stderr
    numbers = load_register(path).numbers
    assert list(numbers) == [NUMBERS[TWO], NUMBERS[FIVE], "+12025550100", NUMBERS[ONE], NUMBERS[THREE], NUMBERS[FOUR]]
    row = numbers[NUMBERS[TWO]]
    assert (row.campaign, row.purpose, str(row.since), row.time_zone) == (
        "sale",
        "telemarketing",
        "2026-11-01",
        "America/New_York",
    )
    assert numbers[NUMBERS[FIVE]] == RegisteredNumber(number=NUMBERS[FIVE], cnam="BY HAND")
    again = run("sync", register=path)
    assert (again.stdout, "0 new, 0 changed, 5 as they were" in again.stderr) == (
        "gone     +12025550100  no longer in the account; its row stays\n",
        True,
    )


def test_without_trust_hub_its_states_stay_as_they_are(run: Any, tmp_path: Path) -> None:
    """An account that has no profile at all, as a subaccount may, says nothing against an approval."""
    path = tmp_path / "register.toml"
    path.write_text(
        f'[[numbers]]\nnumber = "{NUMBERS[ONE]}"\ntrust_hub = "twilio-approved"\n[[campaigns]]\ncampaign = "sale"\n',
        encoding="utf-8",
    )
    done = run("sync", register=path)
    assert "no Trust Hub profile" in done.stderr
    register = load_register(path)
    assert register.numbers[NUMBERS[ONE]].trust_hub is TrustHub.TWILIO_APPROVED
    assert (len(register), list(register.campaigns)) == (5, ["sale"])


def test_another_file_may_be_written(run: Any, tmp_path: Path) -> None:
    """`--out` makes a file, be there a register or not; a CSV file takes no campaigns."""
    out = tmp_path / "fresh.csv"
    assert run("sync", "--out", str(out)).exit_code == 0
    assert len(load_register(out)) == 5
    refused = run("sync")
    assert (refused.exit_code, "--out" in refused.stderr) == (2, True)
    path = tmp_path / "register.toml"
    path.write_text('[[campaigns]]\ncampaign = "sale"\n', encoding="utf-8")
    refused = run("sync", "--out", str(out), register=path)
    assert (refused.exit_code, "name a .toml file" in refused.stderr) == (2, True)


def test_the_list_shows_the_registers_numbers(run: Any, tmp_path: Path) -> None:
    """One line a number under the columns' names, or JSON; what is unknown is a hyphen or null."""
    path = tmp_path / "numbers.csv"
    path.write_text(f"number,campaign\n{NUMBERS[ONE]},sale\n", encoding="utf-8")
    header, row = run("list", register=path).stdout.splitlines()
    assert (header.split()[:3], row.split()[:3]) == (["number", "campaign", "purpose"], [NUMBERS[ONE], "sale", "-"])
    [shown] = json.loads(run("list", "--json", register=path).stdout)
    assert (shown["number"], shown["campaign"], shown["cnam"]) == (NUMBERS[ONE], "sale", None)
