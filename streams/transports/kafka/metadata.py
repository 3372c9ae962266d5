"""Questions about topics: how many partitions they have, and where these begin and end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from kafka import KafkaAdminClient, TopicPartition
from kafka.admin import OffsetSpec
from kafka.errors import AuthorizationError, KafkaError, UnknownTopicOrPartitionError, for_code

from schemas.log import LogUnavailableError
from schemas.settings import ConfigurationError

_T = TypeVar("_T")

# One that hangs on a broker that went silent leaves threads for the others.
_THREADS = 4
# Two requests, each with a reconnection.
_ANSWER_SECONDS = 9.0


class Topics:
    """Asks the brokers about topics, off the event loop.

    Args:
        admin: asked; ended with `close`.
    """

    def __init__(self, admin: KafkaAdminClient) -> None:
        self._admin = admin
        self._threads = ThreadPoolExecutor(_THREADS, "kafka-topics")

    async def partitions(self, topic: str) -> int:
        """How many partitions a topic has; a topic is never made by asking.

        Raises:
            KeyError: no such topic.
            LogUnavailableError: no broker answers.
        """
        return await self._ask(lambda: self._count(topic))

    async def ends(self, topic: str) -> Mapping[int, int]:
        """The next offset to be written, by partition.

        Raises:
            KeyError: no such topic.
            LogUnavailableError: the leader of a partition does not answer.
        """
        return await self._ask(lambda: self._ends(topic))

    def close(self) -> None:
        """End; questions under way fail."""
        self._admin.close()
        self._threads.shutdown(wait=True, cancel_futures=True)

    def _count(self, topic: str) -> int:
        (described,) = self._admin.describe_topics([topic])
        error = for_code(described["error_code"])
        if error is UnknownTopicOrPartitionError:
            raise KeyError(f"{topic}: no such topic; `ringwatch topics create` makes them")
        if described["error_code"]:
            raise error(f"{topic}: {error.description}")
        return len(described["partitions"])

    def _ends(self, topic: str) -> dict[int, int]:
        wanted: dict[TopicPartition, Any] = {
            TopicPartition(topic, number): OffsetSpec.LATEST for number in range(self._count(topic))
        }
        found = self._admin.list_partition_offsets(wanted)
        return {partition.partition: found[partition].offset for partition in wanted}

    async def _ask(self, question: Callable[[], _T]) -> _T:
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(_ANSWER_SECONDS):
                return await loop.run_in_executor(self._threads, question)
        except TimeoutError:
            raise LogUnavailableError(f"the brokers did not answer within {_ANSWER_SECONDS:g} s; try again") from None
        except AuthorizationError as error:
            raise ConfigurationError(
                f"kafka.sasl_username: the brokers refuse it ({error}); allow it to describe ringwatch's topics"
            ) from error
        except KafkaError as error:
            raise LogUnavailableError(f"the brokers did not answer ({type(error).__name__}: {error})") from error
        except RuntimeError as error:
            # Of a client or a pool of threads that was ended meanwhile.
            raise LogUnavailableError(f"the log is closed ({error}); open it again") from error
