"""Fill topics with calls: `python -m bench.peers.fill BOOTSTRAP START TOPIC=COUNT…`.

START is the event time of the first call. Records carry their call's event time as timestamp, so that whoever goes by
that of the record goes by event time too.
"""

from __future__ import annotations

import sys

from confluent_kafka import Producer  # type: ignore[import-not-found]  # not in the project's own environment

from bench.windows.calls import calls, encoded


def fill(bootstrap: str, start: int, topics: dict[str, int]) -> None:
    """Send the first calls of the same stream to each topic, and wait until all are on the broker."""
    failed: list[str] = []

    def delivered(error: object, _: object) -> None:
        if error is not None:
            failed.append(str(error))

    producer = Producer(
        {
            "bootstrap.servers": bootstrap,
            "acks": "all",
            "enable.idempotence": True,
            # As Kafka's own clients choose a key's partition.
            "partitioner": "murmur2_random",
            "linger.ms": 50,
            "queue.buffering.max.messages": 500_000,
        }
    )
    for index, call in enumerate(calls(max(topics.values()), start)):
        key, value = call.number.encode(), encoded(index, call)
        for topic, count in topics.items():
            if index < count:
                while True:
                    try:
                        producer.produce(topic, value, key, timestamp=call.at, on_delivery=delivered)
                        break
                    except BufferError:
                        producer.poll(0.1)
        if index % 1_000 == 0:
            producer.poll(0)
    left = producer.flush(120)
    if left or failed:
        raise RuntimeError(f"{left + len(failed)} records are not on the broker: {failed[:1]}")


def main() -> None:
    """Read the command line and fill."""
    bootstrap, start, *named = sys.argv[1:]
    topics = {topic: int(count) for topic, _, count in (name.partition("=") for name in named)}
    fill(bootstrap, int(start), topics)


if __name__ == "__main__":
    main()
