from __future__ import annotations

import asyncio
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import aiokafka
import pytest
from faust.transport.drivers.aiokafka import credentials_to_aiokafka_auth
from kafka import KafkaAdminClient
from kafka.admin import ScramMechanism, UserScramCredentialUpsertion

from bench.apache_kafka import Cluster, KafkaUnavailableError, Ports
from bench.free_ports import free_ports
from schemas.log import LogUnavailableError, NewRecord
from schemas.settings import ConfigurationError, Kafka, Settings, load_settings
from streams.transports.kafka import connection
from streams.transports.kafka.connection import faust_credentials
from streams.transports.kafka.log import KafkaLog

pytestmark = pytest.mark.kafka

_LISTENERS = "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,SASL_SSL:SASL_SSL,SSL:SSL"
_LOGIN = "org.apache.kafka.common.security.scram.ScramLoginModule required;"


class Secured(NamedTuple):
    """A broker with TLS and passwords.

    Attributes:
        sasl: HOST:PORT where a password is asked for.
        tls: HOST:PORT where the client's certificate is asked for.
        plain: HOST:PORT without either.
        folder: with `broker.pem`, the broker's certificate, and `client.pem` with `client.key`.
    """

    sasl: str
    tls: str
    plain: str
    folder: Path


def _certificate(folder: Path, name: str) -> None:
    words = ["-subj", f"/CN={name}", "-addext", "subjectAltName=IP:127.0.0.1", "-days", "2", "-newkey", "rsa:2048"]
    files = ["-nodes", "-out", folder / f"{name}.pem", "-keyout", folder / f"{name}.key"]
    subprocess.run(["openssl", "req", "-x509", *words, *files], check=True, capture_output=True)


@pytest.fixture(scope="module")
def secured(kafka: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secured]:
    """Start a broker that asks for TLS with SCRAM-SHA-512 on one port, and for a certificate on another."""
    assert kafka
    folder = tmp_path_factory.mktemp("secured")
    for name in ("broker", "client", "stranger"):
        _certificate(folder, name)
    (folder / "store.pem").write_text((folder / "broker.key").read_text() + (folder / "broker.pem").read_text())
    plain, controllers, sasl, tls = free_ports(4)
    places = f"PLAINTEXT://127.0.0.1:{plain},SASL_SSL://127.0.0.1:{sasl},SSL://127.0.0.1:{tls}"
    properties = {
        "listeners": f"{places},CONTROLLER://127.0.0.1:{controllers}",
        "advertised.listeners": places,
        "listener.security.protocol.map": _LISTENERS,
        "ssl.keystore.type": "PEM",
        "ssl.keystore.location": str(folder / "store.pem"),
        "ssl.truststore.type": "PEM",
        "ssl.truststore.location": str(folder / "client.pem"),
        "listener.name.ssl.ssl.client.auth": "required",
        "sasl.enabled.mechanisms": "SCRAM-SHA-512",
        "listener.name.sasl_ssl.scram-sha-512.sasl.jaas.config": _LOGIN,
    }
    try:
        cluster = Cluster(
            folder / "kafka", [Ports(plain, controllers)], properties, ("-Xmx400m", "-XX:TieredStopAtLevel=1")
        )
        with cluster:
            cluster.start_all()
            _prepare(cluster.bootstrap)
            yield Secured(*(f"127.0.0.1:{port}" for port in (sasl, tls, plain)), folder)
    except KafkaUnavailableError as error:
        pytest.skip(f"no Apache Kafka to be secured: {error}")


def _prepare(bootstrap: str) -> None:
    admin = KafkaAdminClient(bootstrap_servers=[bootstrap])
    admin.alter_user_scram_credentials(
        [UserScramCredentialUpsertion("ringwatch", ScramMechanism.SCRAM_SHA_512, password="hush", iterations=4096)]
    )
    admin.create_topics({"callbacks": {"num_partitions": 1, "replication_factor": 1}}, wait_for_metadata=True)
    admin.close()


def with_password(secured: Secured, **changes: object) -> Settings:
    """Settings as they should be, but for these changes of the section."""
    given = {
        "security_protocol": "SASL_SSL",
        "sasl_username": "ringwatch",
        "sasl_password": "hush",
        "ca_file": secured.folder / "broker.pem",
    }
    return load_settings(broker=f"kafka://{secured.sasl}", kafka={**given, **changes})


async def _append_and_read(settings: Settings) -> None:
    log = KafkaLog.open(settings)
    try:
        ((partition, offset),) = await log.append([NewRecord("callbacks", b"k", b"x")])
        reader = await log.reader({("callbacks", partition): offset})
        assert [record.value for record in await reader.fetch(10, 10)] == [b"x"]
        await reader.close()
    finally:
        await log.close()


async def _append_as_faust(settings: Settings) -> None:
    producer = aiokafka.AIOKafkaProducer(
        bootstrap_servers=settings.bootstrap_servers, **credentials_to_aiokafka_auth(faust_credentials(settings))
    )
    await producer.start()
    try:
        await producer.send_and_wait("callbacks", b"x", partition=0)
    finally:
        await producer.stop()


def test_tls_and_a_password(secured: Secured) -> None:
    """With the right password over TLS the log can be written and read, and Faust's client gets in as well."""
    asyncio.run(_append_and_read(with_password(secured)))
    asyncio.run(_append_as_faust(with_password(secured)))


def test_tls_and_a_certificate(secured: Secured) -> None:
    """With its own certificate the client gets in without a password, over both libraries."""
    files = {"certificate_file": secured.folder / "client.pem", "key_file": secured.folder / "client.key"}
    kafka = Kafka.model_validate({"security_protocol": "SSL", "ca_file": secured.folder / "broker.pem", **files})
    settings = Settings(broker=f"kafka://{secured.tls}", kafka=kafka)
    asyncio.run(_append_and_read(settings))
    asyncio.run(_append_as_faust(settings))


@pytest.mark.parametrize("changes", [{"sasl_password": "wrong-one"}, {"sasl_username": "somebody"}])
def test_a_wrong_password_is_refused(secured: Secured, changes: dict[str, object]) -> None:
    """A name or password that the broker does not know is refused at once, by the keys, without showing it."""
    threads = threading.active_count()
    with pytest.raises(ConfigurationError, match=r"^kafka\.sasl_username, kafka\.sasl_password") as refused:
        KafkaLog.open(with_password(secured, **changes))
    assert "hush" not in str(refused.value)
    assert "wrong-one" not in str(refused.value)
    assert threading.active_count() <= threads


def test_a_broker_that_nobody_vouches_for_is_refused(secured: Secured) -> None:
    """A certificate that another authority signed is refused before a password is sent."""
    for ca_file in (secured.folder / "stranger.pem", None):
        with pytest.raises(
            ConfigurationError, match=rf"^kafka\.ca_file: the certificate of {secured.sasl} is not trusted"
        ):
            KafkaLog.open(with_password(secured, ca_file=ca_file))


def test_a_wrong_protocol_is_refused(secured: Secured, monkeypatch: pytest.MonkeyPatch) -> None:
    """TLS where there is none, and none where there is, are told with the key to change."""
    monkeypatch.setattr(connection, "_BOOTSTRAP_MILLISECONDS", 2_000)
    tls = load_settings(broker=f"kafka://{secured.plain}", kafka={"security_protocol": "SSL"})
    with pytest.raises(ConfigurationError, match=r"^kafka\.security_protocol: "):
        KafkaLog.open(tls)
    plain = load_settings(broker=f"kafka://{secured.sasl}")
    with pytest.raises(LogUnavailableError, match=r"another kafka\.security_protocol than PLAINTEXT"):
        KafkaLog.open(plain)
    unknown = {"certificate_file": secured.folder / "stranger.pem", "key_file": secured.folder / "stranger.key"}
    kafka = {"security_protocol": "SSL", "ca_file": secured.folder / "broker.pem", **unknown}
    with pytest.raises(LogUnavailableError, match=r"kafka\.certificate_file"):
        KafkaLog.open(load_settings(broker=f"kafka://{secured.tls}", kafka=kafka))
