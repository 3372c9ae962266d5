"""From the settings to what each client of Apache Kafka asks for: addresses, TLS, and who the client is."""

from __future__ import annotations

import socket
import ssl
from typing import Any

from faust.auth import SASLCredentials, SSLCredentials
from faust.types.auth import CredentialsT
from kafka import KafkaAdminClient
from kafka.errors import (
    AuthorizationError,
    IllegalSaslStateError,
    IncompatibleBrokerVersion,
    KafkaError,
    SaslAuthenticationFailedError,
    UnsupportedSaslMechanismError,
)
from kafka.net.compat import KafkaNetClient

from schemas.log import LogUnavailableError
from schemas.settings import ConfigurationError, Settings

# A broker that comes back is found again within about a second; kafka-python's own limit is 30.
_RECONNECT_MILLISECONDS = 1_000
# A broker that is being started answers within this, or somebody should know.
_BOOTSTRAP_MILLISECONDS = 8_000
# Well below the wait of who asks; a broker that is there answers in milliseconds.
_REQUEST_MILLISECONDS = 4_000
_HANDSHAKE_SECONDS = 3.0

# A broker says why and hangs up; over TLS kafka-python mostly sees only the latter, so it is asked again.
_LOGINS = 4

_REFUSED = (
    SaslAuthenticationFailedError,
    UnsupportedSaslMechanismError,
    IllegalSaslStateError,
    AuthorizationError,
)
_REFUSAL = (
    "kafka.sasl_username, kafka.sasl_password, kafka.sasl_mechanism: {server} refuses them ({why}); "
    "write those of a user that it knows"
)


def kafka_python_options(settings: Settings) -> dict[str, Any]:
    """Give the options that producer, consumer and admin client of kafka-python share.

    Raises:
        ConfigurationError: a certificate or key can't be read.
    """
    kafka = settings.kafka
    options: dict[str, Any] = {
        "bootstrap_servers": settings.bootstrap_servers,
        "client_id": "ringwatch",
        "reconnect_backoff_max_ms": _RECONNECT_MILLISECONDS,
        "security_protocol": kafka.security_protocol.value,
    }
    if kafka.uses_tls:
        options["ssl_context"] = tls_context(settings)
    if kafka.uses_sasl:
        options |= {
            "sasl_mechanism": kafka.sasl_mechanism.value,
            "sasl_plain_username": kafka.sasl_username,
            "sasl_plain_password": _password(settings),
        }
    return options


def faust_credentials(settings: Settings) -> CredentialsT | None:
    """Give Faust's `broker_credentials`; None where neither TLS nor a password is asked for.

    Raises:
        ConfigurationError: a certificate or key can't be read.
    """
    kafka = settings.kafka
    context = tls_context(settings) if kafka.uses_tls else None
    if kafka.uses_sasl:
        return SASLCredentials(
            username=kafka.sasl_username,
            password=_password(settings),
            ssl_context=context,
            mechanism=kafka.sasl_mechanism.value,
        )
    return SSLCredentials(context) if context is not None else None


def tls_context(settings: Settings) -> ssl.SSLContext:
    """Make a context that checks a broker's certificate and name, and shows the client's own certificate if it has one.

    Raises:
        ConfigurationError: a file is not what it should be; the text names the key.
    """
    kafka = settings.kafka
    try:
        context = ssl.create_default_context(cafile=kafka.ca_file)
    except OSError as error:
        raise ConfigurationError(f"kafka.ca_file: {kafka.ca_file} can't be read ({error}); it must be PEM") from error
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if kafka.certificate_file is not None:
        password = "" if kafka.key_password is None else kafka.key_password.get_secret_value()
        try:
            # Without a password OpenSSL would ask for one on the terminal, and wait.
            context.load_cert_chain(kafka.certificate_file, kafka.key_file, lambda: password)
        except OSError as error:
            raise ConfigurationError(
                f"kafka.certificate_file: certificate and key can't be used ({error}); both must be PEM and belong "
                "together, and kafka.key_password must be the key's"
            ) from error
    return context


def connect(settings: Settings) -> tuple[KafkaAdminClient, tuple[int, ...]]:
    """Connect and prove who the client is; waits some seconds for brokers that are being started.

    Returns:
        A client for questions about topics, safe for several threads, and the version that the brokers speak.

    Raises:
        ConfigurationError: the brokers' certificates, the name or the password are refused.
        LogUnavailableError: no broker answers.
    """
    options = kafka_python_options(settings)
    if settings.kafka.uses_tls:
        _check_certificates(settings, options["ssl_context"])
    if settings.kafka.uses_sasl:
        _check_password(options)
    servers = ", ".join(settings.bootstrap_servers)
    clients: list[KafkaNetClient] = []

    def client(**configs: Any) -> KafkaNetClient:
        clients.append(KafkaNetClient(**configs))
        return clients[-1]

    try:
        admin = KafkaAdminClient(
            **options,
            bootstrap_timeout_ms=_BOOTSTRAP_MILLISECONDS,
            request_timeout_ms=_REQUEST_MILLISECONDS,
            kafka_client=client,
        )
    except Exception as error:
        # An admin client that could not be made leaves its sockets and its thread behind.
        for made in clients:
            made.close()
        if isinstance(error, IncompatibleBrokerVersion):
            raise ConfigurationError(f"broker: {servers} is no broker ({error}); name its client port") from error
        if isinstance(error, KafkaError):
            raise LogUnavailableError(
                f"no broker of Apache Kafka answers at {servers} within {_BOOTSTRAP_MILLISECONDS // 1_000} s; start "
                f"it, or correct broker; or it expects another kafka.security_protocol than "
                f"{settings.kafka.security_protocol.value}, another kafka.sasl_mechanism, or a "
                "kafka.certificate_file"
            ) from error
        raise
    return admin, clients[0].get_broker_version()


def _password(settings: Settings) -> str | None:
    password = settings.kafka.sasl_password
    return None if password is None else password.get_secret_value()


def _check_certificates(settings: Settings, context: ssl.SSLContext) -> None:
    """Say what is wrong with a certificate; kafka-python only tries again until its time is over."""
    for server in settings.bootstrap_servers:
        host, _, port = server.rpartition(":")
        host = host.strip("[]")
        try:
            with (
                socket.create_connection((host, int(port)), timeout=_HANDSHAKE_SECONDS) as plain,
                context.wrap_socket(plain, server_hostname=host),
            ):
                return
        except ssl.SSLCertVerificationError as error:
            raise ConfigurationError(
                f"kafka.ca_file: the certificate of {server} is not trusted ({error.verify_message}); name the "
                "authority that signed it, and a broker by the name in its certificate"
            ) from error
        except ssl.SSLError as error:
            raise ConfigurationError(
                f"kafka.security_protocol: {server} does not speak TLS, or refuses ours ({error.reason}); write "
                "PLAINTEXT or SASL_PLAINTEXT, or name its TLS port"
            ) from error
        except OSError:
            # Away or not yet started: the next may answer, and bootstrapping waits for all of them.
            continue


def _check_password(options: dict[str, Any]) -> None:
    """Say when name and password are refused; kafka-python only tries again until its time is over."""
    for server in options["bootstrap_servers"]:
        for _ in range(_LOGINS):
            error, spoken = _log_in(options, server)
            if error is None:
                return
            if isinstance(error, _REFUSED):
                raise ConfigurationError(_REFUSAL.format(server=server, why=error)) from error
            if not spoken:
                # Away or not yet started: the next may answer, and bootstrapping waits for all of them.
                break
        else:
            raise ConfigurationError(_REFUSAL.format(server=server, why="it hung up when told")) from error


def _log_in(options: dict[str, Any], server: str) -> tuple[BaseException | None, bool]:
    """Try name and password once; give what went wrong, and whether it is a broker that was spoken to."""
    client = KafkaNetClient(**{**options, "bootstrap_servers": [server]})
    try:
        broker = client.cluster.bootstrap_brokers()[0]
        connection = client._manager.get_connection(broker.node_id)  # noqa: SLF001 - kafka-python tells nowhere else why a connection failed
        opening = connection.init_future
        client.poll(timeout_ms=_HANDSHAKE_SECONDS * 1_000, future=opening)
        error = opening.exception if opening.is_done else TimeoutError(server)
        return error, connection.broker_version_data is not None
    finally:
        client.close()
