"""`ringwatch worker --partitions-report`: who works off which partition, and how far, as the brokers know it."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import click
import msgspec
from kafka import KafkaAdminClient, TopicPartition
from kafka.admin import OffsetSpec
from kafka.errors import KafkaError, UnknownTopicOrPartitionError

from ringwatch.opening import require_kafka
from schemas.log import LogUnavailableError
from schemas.settings import ConfigurationError, Settings
from streams.agents.app import APP_ID, STAGES
from streams.transports.kafka.connection import connect

# The first question for a group makes the brokers choose who keeps it, which takes a moment.
_PATIENCE_SECONDS = 10.0
_PAUSE_SECONDS = 0.2

# What Kafka says of a group that nobody ever joined, or that was forgotten.
_NO_GROUP = "Dead"

_Place = tuple[str, int]


class PartitionFound(msgspec.Struct, frozen=True):
    """One partition of a topic that the agents read.

    Attributes:
        topic: its topic.
        partition: its number.
        worker: who has it now; None if nobody has.
        applied: the offset up to which it is worked off; None if nothing was yet.
        end: the next offset to be written.
        lag: records that are not worked off.
    """

    topic: str
    partition: int
    worker: str | None
    applied: int | None
    end: int
    lag: int


class WorkerFound(msgspec.Struct, frozen=True):
    """One worker.

    Attributes:
        worker: the name it keeps over its restarts, else the one that Kafka gave it.
        host: where it connects from.
        partitions: how many it has.
        lag: records of these that are not worked off.
    """

    worker: str
    host: str
    partitions: int
    lag: int


class PartitionsReport(msgspec.Struct, frozen=True):
    """Who has what.

    Attributes:
        group: the consumer group of the agents.
        state: Kafka's word for the group's state, e.g. Stable or PreparingRebalance; None if there is no such group.
        workers: those in the group, by name; also those without partitions.
        partitions: every partition that the agents read, by topic and number.
    """

    group: str
    state: str | None
    workers: Sequence[WorkerFound]
    partitions: Sequence[PartitionFound]


def report_partitions(settings: Settings, *, as_json: bool) -> int:
    """Print the report.

    Returns:
        1 if a partition is nobody's, else 0.

    Raises:
        ConfigurationError: the log is not Kafka, or its topics are not there.
        LogUnavailableError: no broker answers.
    """
    require_kafka(settings, "worker")
    report = find_partitions(settings)
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(report), indent=2))
    else:
        for line in _as_text(report):
            click.echo(line)
    return 1 if any(found.worker is None for found in report.partitions) else 0


def find_partitions(settings: Settings) -> PartitionsReport:
    """Ask the brokers who has which partition, and how far it is worked off.

    Raises:
        ConfigurationError: the topics are not there.
        LogUnavailableError: no broker answers.
    """
    admin, _ = connect(settings)
    try:
        return _ask_patiently(admin, settings)
    except UnknownTopicOrPartitionError as error:
        raise ConfigurationError(
            f"a topic is missing, or has other than {settings.partitions} partitions; run `ringwatch topics check`"
        ) from error
    except KafkaError as error:
        servers = ", ".join(settings.bootstrap_servers)
        raise LogUnavailableError(f"Apache Kafka at {servers} did not answer ({error}): try again") from error
    finally:
        admin.close()


def _ask_patiently(admin: KafkaAdminClient, settings: Settings) -> PartitionsReport:
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while True:
        try:
            return _ask(admin, settings)
        except UnknownTopicOrPartitionError:
            raise
        except KafkaError as error:
            if not error.retriable or time.monotonic() > deadline:
                raise
        time.sleep(_PAUSE_SECONDS)


def _ask(admin: KafkaAdminClient, settings: Settings) -> PartitionsReport:
    places = [
        TopicPartition(topic, partition) for topic in _sources(settings) for partition in range(settings.partitions)
    ]
    ends = admin.list_partition_offsets(dict.fromkeys(places, OffsetSpec.LATEST))
    starts = admin.list_partition_offsets(dict.fromkeys(places, OffsetSpec.EARLIEST))
    group = admin.describe_groups([APP_ID])[APP_ID]
    committed = admin.list_group_offsets({APP_ID: places})[APP_ID]
    state = None if group["group_state"] == _NO_GROUP else str(group["group_state"])
    members = {_name(member): member for member in group["members"]}
    holders = {place: name for name, member in members.items() for place in _held(member)}
    partitions = []
    for place in places:
        known = committed.get(place)
        applied = known.offset if known is not None and known.offset >= 0 else None
        end = ends[place].offset
        # Below what retention has left there is nothing to work off.
        done = max(starts[place].offset, applied or 0)
        holder = holders.get((place.topic, place.partition))
        partitions.append(PartitionFound(place.topic, place.partition, holder, applied, end, max(0, end - done)))
    workers = [
        _worker(name, member, [found for found in partitions if found.worker == name])
        for name, member in sorted(members.items())
    ]
    return PartitionsReport(APP_ID, state, workers, partitions)


def _sources(settings: Settings) -> list[str]:
    return sorted({source.name for _, factory in STAGES for source in factory(settings, {}).sources})


def _name(member: Mapping[str, Any]) -> str:
    return str(member.get("group_instance_id") or member["member_id"])


def _held(member: Mapping[str, Any]) -> Iterable[_Place]:
    """Topic and number of what Kafka's standard consumer protocol says a member was assigned."""
    assignment = member["member_assignment"]
    if not assignment:
        # Being moved just now.
        return
    for assigned in assignment["assigned_partitions"]:
        for partition in assigned["partitions"]:
            yield assigned["topic"], partition


def _worker(name: str, member: Mapping[str, Any], held: Sequence[PartitionFound]) -> WorkerFound:
    host = str(member["client_host"]).removeprefix("/")
    return WorkerFound(name, host, len(held), sum(found.lag for found in held))


def _as_text(report: PartitionsReport) -> Iterable[str]:
    if report.state is None:
        yield f"no worker has joined the group {report.group} yet; start one with `ringwatch worker`"
    elif not report.workers:
        yield f"no worker runs (the group {report.group} is {report.state}); start one with `ringwatch worker`"
    else:
        yield f"group {report.group}: {report.state}, {len(report.workers)} workers"
        rows = [(found.worker, found.host, str(found.partitions), str(found.lag)) for found in report.workers]
        yield from _columns(("worker", "host", "partitions", "lag"), rows)
    yield ""
    cells = [
        (
            found.topic,
            str(found.partition),
            found.worker or "nobody",
            "-" if found.applied is None else str(found.applied),
            str(found.end),
            str(found.lag),
        )
        for found in report.partitions
    ]
    yield from _columns(("topic", "partition", "worker", "applied", "end", "lag"), cells)


def _columns(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterable[str]:
    """Lines in columns, numbers to the right."""
    widths = [max(map(len, column)) for column in zip(headings, *rows, strict=True)]
    for row in itertools.chain([headings], rows):
        cells = (
            cell.rjust(width) if heading in _NUMBERS else cell.ljust(width)
            for heading, cell, width in zip(headings, row, widths, strict=True)
        )
        yield "  ".join(cells).rstrip()


_NUMBERS = frozenset({"partition", "partitions", "applied", "end", "lag"})
