"""What Twilio's account knows of the company's numbers: which there are, and what Trust Hub says of each."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import Enum
from typing import Any
from urllib.parse import urlsplit

import msgspec
from twilio.http.http_client import TwilioHttpClient
from twilio.http.response import Response
from twilio.rest import Client

from schemas.register import TrustHub, is_number
from schemas.settings import ConfigurationError, Settings

_TIMEOUT_SECONDS = 30.0
# Twilio limits requests at once, not a day; a minute and more of patience outlasts any burst of its own.
_TRIES = 7
_LONGEST_PAUSE_SECONDS = 30.0
_COME_AGAIN = frozenset({429, 503})
_REFUSED = frozenset({401, 403})
# The most that Twilio gives in one page of numbers; of Trust Hub's lists fewer are sure to be taken.
_NUMBERS_A_PAGE = 1_000
_ROWS_A_PAGE = 100


class TwilioAccountError(ConfigurationError):
    """The account can't be read; the text says what to do."""


class Product(Enum):
    """A trust product that counts for a caller's reputation."""

    SHAKEN = "shaken"
    CNAM = "cnam"
    VOICE_INTEGRITY = "voice integrity"


# The same for all accounts, from Twilio's pages "SHAKEN/STIR Onboarding with the Trust Hub REST API", "Brand your calls
# using CNAM" and "Voice Integrity Onboarding with the Trust Hub REST API".
_POLICIES = {
    "RN7a97559effdf62d00f4298208492a5ea": Product.SHAKEN,
    "RNf3db3cd1fe25fcfd3c3ded065c8fea53": Product.CNAM,
    "RN5b3660f9598883b1df4e77f77acefba0": Product.VOICE_INTEGRITY,
}
_CNAM_USER = "cnam_information"
_CNAM_NAME = "cnam_display_name"

# Where a number is in several profiles or products, the one that has got furthest counts.
_FURTHEST = (
    TrustHub.TWILIO_APPROVED,
    TrustHub.IN_REVIEW,
    TrustHub.PENDING_REVIEW,
    TrustHub.DRAFT,
    TrustHub.TWILIO_REJECTED,
)


class AccountNumber(msgspec.Struct, frozen=True, kw_only=True):
    """One number of the account; None where it is in no such profile or product.

    Attributes:
        number: E.164.
        trust_hub: state of its customer profile.
        cnam: the name that its approved CNAM product shows.
        voice_integrity: state of its Voice Integrity product.
        shaken: state of its SHAKEN/STIR product.
    """

    number: str
    trust_hub: TrustHub | None = None
    cnam: str | None = None
    voice_integrity: TrustHub | None = None
    shaken: TrustHub | None = None


class Account(msgspec.Struct, frozen=True):
    """What was read.

    Attributes:
        numbers: all of them.
        has_trust_hub: whether Trust Hub has any profile or product here; a subaccount's may be in its main account.
    """

    numbers: list[AccountNumber]
    has_trust_hub: bool


def read_account(settings: Settings, pause: Callable[[float], None] = time.sleep) -> Account:
    """Read the numbers and what Trust Hub says of them.

    Args:
        settings: name the account and how to ask.
        pause: waits so many seconds before a request is made again.

    Raises:
        ConfigurationError: no account is named, or no secret.
        TwilioAccountError: Twilio can't be reached or refuses.
    """
    with _client(settings, pause) as client:
        sids = {
            one.sid: one.phone_number
            for account in _accounts(client, subaccounts=settings.twilio.subaccounts)
            for one in client.api.v2010.accounts(account).incoming_phone_numbers.list(page_size=_NUMBERS_A_PAGE)
            if is_number(one.phone_number or "")
        }
        trust = _TrustHubOf(client)
    numbers = [
        AccountNumber(
            number=number,
            trust_hub=trust.profiles.get(sid),
            cnam=trust.names.get(sid),
            voice_integrity=trust.products[Product.VOICE_INTEGRITY].get(sid),
            shaken=trust.products[Product.SHAKEN].get(sid),
        )
        for sid, number in sids.items()
    ]
    return Account(sorted(numbers, key=lambda one: one.number), trust.is_used)


def _accounts(client: Client, *, subaccounts: bool) -> list[str]:
    if not subaccounts:
        return [client.account_sid]
    return [account.sid for account in client.api.v2010.accounts.list(status="active", page_size=_ROWS_A_PAGE)]


class _TrustHubOf:
    """What Trust Hub says, by the SID of a phone number."""

    def __init__(self, client: Client) -> None:
        self.profiles: dict[str, TrustHub] = {}
        self.products: dict[Product, dict[str, TrustHub]] = {product: {} for product in Product}
        self.names: dict[str, str] = {}
        self._hub = client.trusthub.v1
        self._policy_names: dict[str, str] | None = None
        profiles = self._hub.customer_profiles.list(page_size=_ROWS_A_PAGE)
        for profile in profiles:
            bundle = self._hub.customer_profiles(profile.sid)
            for sid in _assigned(bundle.customer_profiles_channel_endpoint_assignment):
                _note(self.profiles, sid, profile.status)
        products = self._hub.trust_products.list(page_size=_ROWS_A_PAGE)
        for product in products:
            kind = self._kind_of(product.policy_sid)
            if kind is not None:
                self._take(kind, product)
        self.is_used = bool(profiles or products)

    def _take(self, kind: Product, product: Any) -> None:
        bundle = self._hub.trust_products(product.sid)
        assigned = _assigned(bundle.trust_products_channel_endpoint_assignment)
        for sid in assigned:
            _note(self.products[kind], sid, product.status)
        if kind is Product.CNAM and assigned and product.status == TrustHub.TWILIO_APPROVED:
            name = self._display_name(bundle.trust_products_entity_assignments)
            if name:
                self.names |= dict.fromkeys(assigned, name)

    def _kind_of(self, policy: str | None) -> Product | None:
        if policy in _POLICIES:
            return _POLICIES[policy]
        if self._policy_names is None:
            found = self._hub.policies.list(page_size=_ROWS_A_PAGE)
            self._policy_names = {one.sid: (one.friendly_name or "").casefold() for one in found}
        name = self._policy_names.get(policy or "", "").replace("-", " ").replace("_", " ")
        return next((product for product in Product if product.value in name), None)

    def _display_name(self, assignments: Any) -> str | None:
        for assignment in assignments.list(page_size=_ROWS_A_PAGE):
            sid = assignment.object_sid or ""
            if not sid.startswith("IT"):  # an end user; profiles and documents are assigned here too
                continue
            user = self._hub.end_users(sid).fetch()
            if user.type == _CNAM_USER:
                name = (user.attributes or {}).get(_CNAM_NAME)
                return str(name).strip() if name else None
        return None


def _assigned(assignments: Any) -> list[str]:
    """Give the SIDs of the phone numbers among what is assigned to a profile or product."""
    found = (one.channel_endpoint_sid or "" for one in assignments.list(page_size=_ROWS_A_PAGE))
    return [sid for sid in found if sid.startswith("PN")]


def _note(states: dict[str, TrustHub], sid: str, status: str | None) -> None:
    if status not in set(TrustHub):
        return
    given = TrustHub(status)
    known = states.get(sid)
    states[sid] = given if known is None else min(known, given, key=_FURTHEST.index)


@contextmanager
def _client(settings: Settings, pause: Callable[[float], None]) -> Iterator[Client]:
    account, name, secret = _credentials(settings)
    http = _PatientHttp(settings.twilio.base_url, pause)
    try:
        yield Client(name, secret, account, http_client=http)
    finally:
        http.session.close()


def _credentials(settings: Settings) -> tuple[str, str, str]:
    """Give the account's SID, and user name and password of its API."""
    twilio = settings.twilio
    account = twilio.account_sid
    if account is None:
        if len(settings.accounts) != 1:
            raise ConfigurationError("twilio.account_sid: missing; name the account (RINGWATCH_TWILIO__ACCOUNT_SID)")
        account = next(iter(settings.accounts))
    if twilio.api_key is not None and twilio.api_secret is not None:
        return account, twilio.api_key, twilio.api_secret.get_secret_value().strip()
    token = twilio.auth_token or settings.accounts.get(account)
    if token is None:
        raise ConfigurationError(
            "twilio.auth_token: missing; set RINGWATCH_TWILIO__AUTH_TOKEN, or api_key and api_secret of [twilio]"
        )
    return account, account, token.get_secret_value().strip()


class _PatientHttp(TwilioHttpClient):  # type: ignore[misc]  # twilio's client is not typed
    """Twilio's own HTTP client, which waits when it is told to, and sends the secret to Twilio alone.

    Args:
        base_url: where requests go in place of Twilio's hosts; None for those.
        pause: waits so many seconds.
    """

    def __init__(self, base_url: str | None, pause: Callable[[float], None]) -> None:
        super().__init__(timeout=_TIMEOUT_SECONDS)
        self._base_url = base_url
        self._pause = pause
        if base_url is not None:
            self.session.trust_env = False  # a proxy can't reach this machine's loopback

    def request(self, method: str, url: str, **options: Any) -> Response:
        """Make one request; what Twilio refuses becomes an error that says what to do."""
        target = self._target(url)
        for attempt in range(1, _TRIES + 1):
            try:
                response = super().request(method, target, **options)
            except OSError as error:
                raise TwilioAccountError(
                    f"{urlsplit(target).netloc} can't be reached ({type(error).__name__}); try again"
                ) from error
            if response.status_code not in _COME_AGAIN or attempt == _TRIES:
                break
            self._pause(_wait(response, attempt))
        if response.status_code in _REFUSED:
            raise TwilioAccountError(
                f"Twilio refused {urlsplit(target).path} ({response.status_code}: {_message(response)}); check "
                "account_sid and auth_token, or api_key and api_secret, of [twilio]"
            )
        if not response.ok:
            raise TwilioAccountError(
                f"Twilio answered {urlsplit(target).path} with {response.status_code}: {_message(response)}; try again"
            )
        return response

    def _target(self, url: str) -> str:
        parts = urlsplit(url)
        if self._base_url is not None:
            return f"{self._base_url}{parts.path}{'?' if parts.query else ''}{parts.query}"
        # The address of a next page comes from an answer.
        if parts.scheme != "https" or not (parts.hostname or "").endswith(".twilio.com"):
            raise TwilioAccountError(f"{parts.netloc}: an answer points there, which is not Twilio's; nothing was sent")
        return url


def _wait(response: Response, attempt: int) -> float:
    """Give the seconds to wait: those Twilio asks for, else twice as many each time."""
    asked = str((response.headers or {}).get("Retry-After", ""))
    seconds = float(asked) if asked.isdecimal() else 2.0 ** (attempt - 1)
    return min(seconds, _LONGEST_PAUSE_SECONDS)


def _message(response: Response) -> str:
    try:
        return str(json.loads(response.text)["message"])[:200]
    except (ValueError, KeyError, TypeError):
        return response.text[:100].strip() or "no reason given"
