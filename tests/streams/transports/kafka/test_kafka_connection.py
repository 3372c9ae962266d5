from __future__ import annotations

import ssl
import subprocess
from pathlib import Path

import pytest
from faust.auth import SASLCredentials, SSLCredentials
from faust.transport.drivers.aiokafka import credentials_to_aiokafka_auth
from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer

from schemas.settings import ConfigurationError, Settings, load_settings
from streams.transports.kafka.connection import faust_credentials, kafka_python_options


def settings(**kafka: object) -> Settings:
    """Settings of Kafka with these keys in the section."""
    return load_settings(broker="kafka://one:9092,two:9093", kafka=kafka)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Give a self-signed certificate and its key, which is locked with the password `hush`."""
    folder = tmp_path_factory.mktemp("certificate")
    files = folder / "certificate.pem", folder / "key.pem"
    subject = ["-subj", "/CN=ringwatch", "-days", "2", "-newkey", "rsa:2048", "-passout", "pass:hush"]
    subprocess.run(
        ["openssl", "req", "-x509", *subject, "-out", files[0], "-keyout", files[1]], check=True, capture_output=True
    )
    return files


def test_plain_text_needs_no_more_than_addresses() -> None:
    """Without TLS and password the clients get addresses and a name, and Faust no credentials."""
    options = kafka_python_options(settings())
    assert options["bootstrap_servers"] == ["one:9092", "two:9093"]
    assert options["security_protocol"] == "PLAINTEXT"
    assert not any(key.startswith(("ssl", "sasl")) for key in options)
    assert faust_credentials(settings()) is None


def test_every_client_knows_the_options() -> None:
    """Producer, consumer and admin client of kafka-python all have every option that may be given."""
    options = kafka_python_options(settings(security_protocol="SASL_SSL", sasl_username="u", sasl_password="p"))
    for client in (KafkaProducer, KafkaConsumer, KafkaAdminClient):
        assert set(options) <= set(client.DEFAULT_CONFIG)


@pytest.mark.parametrize("protocol", ["SASL_PLAINTEXT", "SASL_SSL"])
def test_name_and_password_reach_both_clients(protocol: str) -> None:
    """kafka-python and Faust's aiokafka get the same protocol, mechanism, name and password."""
    given = settings(
        security_protocol=protocol, sasl_username="ringwatch", sasl_password="hush", sasl_mechanism="SCRAM-SHA-256"
    )
    credentials = faust_credentials(given)
    assert isinstance(credentials, SASLCredentials)
    theirs, ours = credentials_to_aiokafka_auth(credentials), kafka_python_options(given)
    names = ("security_protocol", "sasl_mechanism", "sasl_plain_username", "sasl_plain_password")
    expected = (protocol, "SCRAM-SHA-256", "ringwatch", "hush")
    assert tuple(theirs[name] for name in names) == tuple(ours[name] for name in names) == expected
    for options in (theirs, ours):
        context = options.get("ssl_context")
        assert isinstance(context, ssl.SSLContext) == (protocol == "SASL_SSL")


def test_certificates_reach_both_clients(certificate: tuple[Path, Path]) -> None:
    """The authority of the brokers and the client's own certificate are loaded, and brokers' names are checked."""
    given = settings(
        security_protocol="SSL",
        ca_file=certificate[0],
        certificate_file=certificate[0],
        key_file=certificate[1],
        key_password="hush",
    )
    credentials = faust_credentials(given)
    assert isinstance(credentials, SSLCredentials)
    for context in (credentials.context, kafka_python_options(given)["ssl_context"]):
        assert context.verify_mode is ssl.CERT_REQUIRED
        assert context.check_hostname
        assert len(context.get_ca_certs()) == 1


@pytest.mark.parametrize("password", ["wrong", None])
def test_a_key_that_stays_locked_is_refused(certificate: tuple[Path, Path], password: str | None) -> None:
    """A wrong or missing password of the key is refused without showing it, and nothing asks on the terminal."""
    given = settings(
        security_protocol="SSL", certificate_file=certificate[0], key_file=certificate[1], key_password=password
    )
    with pytest.raises(ConfigurationError, match=r"^kafka\.certificate_file: .*kafka\.key_password") as refused:
        kafka_python_options(given)
    assert "wrong" not in str(refused.value)


def test_an_authority_that_is_none_is_refused(tmp_path: Path) -> None:
    """A file that is no PEM is refused by its key."""
    path = tmp_path / "ca.pem"
    path.write_text("no certificate")
    with pytest.raises(ConfigurationError, match=r"^kafka\.ca_file: "):
        kafka_python_options(settings(security_protocol="SSL", ca_file=path))
