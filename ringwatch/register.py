"""The register that the settings name, at the start and while a process runs."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator

from prometheus_client import CollectorRegistry
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from schemas.register import Register, load_register
from schemas.settings import Settings
from streams.ingest.register_files import RegisterFiles
from streams.ingest.terms import CurrentTerms

# Soon enough for whoever changed a file, and a look costs nothing.
_LOOK_SECONDS = 2.0


def read_register(settings: Settings) -> Register:
    """The register that the settings name; an empty one if they name none.

    Raises:
        ConfigurationError: a line can't be used.
    """
    return load_register(settings.register_file, settings.campaigns_file, settings.contacts_file)


def open_register(settings: Settings, registry: CollectorRegistry) -> tuple[RegisterFiles, CurrentTerms]:
    """The register's files for as long as a process runs, and the terms that go by them.

    Args:
        settings: name the files.
        registry: what `/metrics` shows; the register's metrics are added to it.

    Raises:
        ConfigurationError: a line can't be used.
    """
    terms = CurrentTerms(settings, Register())
    files = RegisterFiles(settings, terms.take)
    terms.take(files.load())
    registry.register(RegisterCollector(files))
    return files, terms


async def watch_register(files: RegisterFiles, stop: asyncio.Event) -> None:
    """Load the register's files whenever they change, until told to stop."""
    while not stop.is_set():
        await files.refresh()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), _LOOK_SECONDS)


class RegisterCollector(Collector):
    """Reads what the register is like whenever somebody asks for metrics.

    Args:
        files: what is loaded.
    """

    def __init__(self, files: RegisterFiles) -> None:
        self._files = files

    def collect(self) -> Iterator[Metric]:
        """Give each metric as it stands."""
        register = self._files.register
        for name, text, value in (
            (
                "last_load_successful",
                "Whether the register's files were loaded as they are now.",
                not self._files.error,
            ),
            ("last_load_timestamp_seconds", "When the register was last loaded.", self._files.loaded_at / 1_000),
            ("numbers", "Numbers in the register.", len(register.numbers)),
            ("campaigns", "Campaigns in the register.", len(register.campaigns)),
            ("contacts", "Contacts in the register.", len(register.contacts)),
        ):
            yield GaugeMetricFamily(f"ringwatch_register_{name}", text, value=value)
