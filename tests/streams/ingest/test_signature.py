from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl

from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from twilio.request_validator import RequestValidator

from schemas.settings import Settings
from streams.ingest.signature import Refusal, SignatureCheck

URL = "https://hooks.example.com/twilio/voice"


def check(**values: Any) -> SignatureCheck:
    """Make a check of one account, with other settings on top."""
    return SignatureCheck(Settings.model_validate({"accounts": {"AC1": "token"}} | values))


def signed(
    params: dict[str, Any], url: str = URL, token: str = "token", algorithm: str | None = None
) -> dict[bytes, bytes]:
    """Make the header of a signed request."""
    signature = RequestValidator(token).compute_signature(url, params, algorithm)
    return {b"x-twilio-signature": signature.encode()}


def test_the_published_form_vector_verifies(fixture_body: Callable[[str], bytes]) -> None:
    """The signature that twilio's own tests publish is right, and wrong with one blank parameter dropped or added."""
    params: Any = dict(parse_qsl(fixture_body("24").decode(), keep_blank_values=True))
    of_vector = check(accounts={params["AccountSid"]: "1c892n40nd03kdnc0112slzkl3091j20"})
    headers = {b"x-twilio-signature": b"fF+xx6dTinOaCdZ0aIeNkHr/ZAA="}
    for given_params, expected in ((params, None), (params | {"FromZip": ""}, Refusal.WRONG_SIGNATURE)):
        assert (
            of_vector.refusal(
                "http://www.postbin.org/1ed898x", headers, b"x", signed=given_params, account_sid=params["AccountSid"]
            )
            == expected
        )


def test_the_stir_verstat_vector_passes_the_gateway(make_gateway: Any, memory_log: Any) -> None:
    """A published vector goes all the way from HTTP to the log, and not with a changed body."""
    gateway = make_gateway(
        Settings.model_validate({"accounts": {"AC1": "token"}, "public_url": "https://api.acme.com"})
    )
    headers = {
        "x-twilio-signature": "A8xudRcvIv+pFEwk/mgVzWhDutw=",
        "content-type": "application/x-www-form-urlencoded",
    }
    body = b"CallSid=CA1&From=%2B5511987654321&StirVerstat=TN-Validation-Passed-A"
    assert gateway.send("POST", "/twilio/voice", body, headers).status_code == 204
    assert gateway.send("POST", "/twilio/voice", body + b"&A=", headers).status_code == 403
    assert len(memory_log.records) == 1


def test_each_account_is_checked_with_its_own_token() -> None:
    """A subaccount's request needs the subaccount's token; one of an unknown account may have any configured token."""
    both = check(accounts={"AC1": "one", "AC2": "two"})
    params: Any = {"AccountSid": "AC2", "CallSid": "CA1"}
    assert both.refusal(URL, signed(params, token="two"), b"x", signed=params, account_sid="AC2") is None
    assert (
        both.refusal(URL, signed(params, token="one"), b"x", signed=params, account_sid="AC2")
        is Refusal.WRONG_SIGNATURE
    )
    unknown: Any = {"CallSid": "CA1"}
    assert both.refusal(URL, signed(unknown, token="two"), b"x", signed=unknown, account_sid=None) is None
    assert check(accounts={}).refusal(URL, signed({}), b"", signed=None, account_sid=None) is Refusal.NO_TOKEN


def test_a_shared_key_signs_with_sha256() -> None:
    """A request that announces a shared key is checked with that key's secret and HMAC-SHA256 only."""
    keys = check(shared_keys={"webhooks_sharedkey_1": "secret"})
    params: Any = {"AccountSid": "AC1"}
    settings_header = b"key=webhooks_sharedkey_1,algorithm=HMAC_SHA256"
    headers = signed(params, token="secret", algorithm="HMAC_SHA256")

    def refusal(announced: bytes, headers: dict[bytes, bytes]) -> Refusal | None:
        given_headers = headers | {b"x-twilio-webhooks-signature-settings": announced}
        return keys.refusal(URL, given_headers, b"x", signed=params, account_sid="AC1")

    assert refusal(settings_header, headers) is None
    assert refusal(b"key=another,algorithm=HMAC_SHA256", headers) is Refusal.UNKNOWN_KEY
    assert refusal(b"key=webhooks_sharedkey_1,algorithm=HMAC_MD5", headers) is Refusal.UNKNOWN_KEY
    assert refusal(settings_header, signed(params)) is Refusal.WRONG_SIGNATURE


def test_json_is_bound_by_its_hash() -> None:
    """JSON passes with its bodySHA256 only, be it UTF-8 or not, and a signed JSON URL takes no other body."""
    body = b'{"a": "\xff"}'
    url = f"{URL}?bodySHA256={hashlib.sha256(body).hexdigest()}"
    headers = signed({}, url)
    assert check().refusal(url, headers, body, signed=None, account_sid=None) is None
    assert check().refusal(url, headers, b"{}", signed=None, account_sid=None) is Refusal.WRONG_BODY_HASH
    assert check().refusal(url, headers, b"", signed={}, account_sid=None) is Refusal.WRONG_BODY_HASH
    assert check().refusal(URL, signed({}), body, signed=None, account_sid=None) is Refusal.WRONG_BODY_HASH


class _Multi(dict[str, list[str]]):
    def getall(self, name: str) -> list[str]:
        return self[name]


@hypothesis_settings(deadline=None, max_examples=100)
@given(
    st.dictionaries(st.text(max_size=4), st.lists(st.text(max_size=4), min_size=1, max_size=3), min_size=1, max_size=6)
)
def test_parameters_verify_as_the_validator_signs_them(values: dict[str, list[str]]) -> None:
    """Any parameters, blank and repeated ones too, verify against the validator's own signature of them."""
    params: Any = {name: value if len(value) > 1 else value[0] for name, value in values.items()}
    assert check().refusal(URL, signed(_Multi(values)), b"x", signed=params, account_sid="AC1") is None
    changed = params | {"another": "1"}
    assert check().refusal(URL, signed(_Multi(values)), b"x", signed=changed, account_sid="AC1") is not None


def test_the_url_is_the_one_that_twilio_called() -> None:
    """The public URL comes first, then a trusted proxy's headers, then the request's own."""
    headers = {b"host": b"inside:8080", b"x-forwarded-host": b"hooks.example.com, x", b"x-forwarded-proto": b"https"}
    assert (
        check(public_url="https://a.example/hooks/").url("http", "10.0.0.1", "/twilio/voice?a=1", headers)
        == "https://a.example/hooks/twilio/voice?a=1"
    )
    proxied = check(trusted_proxies=["10.0.0.0/8"])
    assert proxied.url("http", "10.0.0.1", "/twilio/voice", headers) == "https://hooks.example.com/twilio/voice"
    assert proxied.url("http", "192.0.2.1", "/twilio/voice", headers) == "http://inside:8080/twilio/voice"
    assert proxied.url("http", None, "/x", {}) == "http:///x"


@hypothesis_settings(deadline=None, max_examples=150)
@given(
    url=st.text(max_size=40)
    | st.sampled_from(["http://h:99999999/", "http://[", "https://a:b@c:d/?bodySHA256=é", "http://h:é"]),
    signature=st.binary(min_size=1, max_size=40),
    announced=st.binary(max_size=40),
    params=st.none() | st.dictionaries(st.text(), st.text() | st.lists(st.text(), max_size=3), max_size=4),
    body=st.binary(max_size=40),
)
def test_nothing_makes_the_check_raise(url: str, signature: bytes, announced: bytes, params: Any, body: bytes) -> None:
    """Whatever URL, header, parameter or body comes, the answer is a refusal."""
    headers = {b"x-twilio-signature": signature, b"x-twilio-webhooks-signature-settings": announced}
    assert check().refusal(url, headers, body, signed=params, account_sid=None) is not None
