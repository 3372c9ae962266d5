"""What the register says of a call's two parties, put together from its files."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

from schemas.register.reading import read_file
from schemas.register.rows import SCHEMAS, Kind, RegisteredCampaign, RegisteredNumber, Rows
from schemas.register.values import first_moment, is_number
from schemas.registration import ContactDetails, NumberRegistration
from schemas.settings import ConfigurationError


class Register:
    """The company's own numbers, its campaigns, and people it calls; an empty register knows none and says so.

    Args:
        numbers: one row for each number; a number twice is the caller's error.
        campaigns: one row for each campaign.
        contacts: what is known of people, by their number.

    Attributes:
        numbers: rows by number, in the order given.
        campaigns: rows by name, in the order given.
        contacts: what is known of people, by their number.
    """

    def __init__(
        self,
        numbers: Iterable[RegisteredNumber] = (),
        campaigns: Iterable[RegisteredCampaign] = (),
        contacts: Mapping[str, ContactDetails] | None = None,
    ) -> None:
        self.numbers: Mapping[str, RegisteredNumber] = MappingProxyType({row.number: row for row in numbers})
        self.campaigns: Mapping[str, RegisteredCampaign] = MappingProxyType({row.campaign: row for row in campaigns})
        self.contacts: Mapping[str, ContactDetails] = {} if contacts is None else contacts

    def campaign_of(self, number: str) -> str | None:
        """Give the campaign a number is registered for; None if it is not registered or has none."""
        row = self.numbers.get(number)
        return None if row is None else row.campaign

    def registration_of(self, number: str, campaign: str | None) -> NumberRegistration | None:
        """Give what is known of one of the company's own numbers and the campaign it calls for.

        Args:
            number: E.164.
            campaign: the campaign of the call; None if it has none.

        Returns:
            None where no number is registered at all, and for what is no telephone number; `registered=False` for a
            number that is missing among those that are.
        """
        if not self.numbers:
            return None
        of_campaign = None if campaign is None else self.campaigns.get(campaign)
        purpose = None if of_campaign is None else of_campaign.purpose
        campaign_day = None if of_campaign is None else of_campaign.since
        campaign_since = None if campaign_day is None else first_moment(campaign_day, None)
        row = self.numbers.get(number)
        if row is None:
            if not is_number(number):
                return None
            return NumberRegistration(registered=False, purpose=purpose, campaign_since=campaign_since)
        return NumberRegistration(
            registered=True,
            purpose=purpose or row.purpose,
            since=None if row.since is None else first_moment(row.since, row.time_zone),
            cnam=row.cnam,
            trust_hub=None if row.trust_hub is None else row.trust_hub.value,
            campaign_since=campaign_since,
        )

    def details_of(self, contact: str) -> ContactDetails | None:
        """Give what is known of a person; None if nothing is."""
        return self.contacts.get(contact)

    def __contains__(self, number: object) -> bool:
        return number in self.numbers

    def __len__(self) -> int:
        return len(self.numbers)


def load_register(
    register_file: Path | None, campaigns_file: Path | None = None, contacts_file: Path | None = None
) -> Register:
    """Read the register's files; without any, the register is empty.

    Args:
        register_file: TOML with any tables, or CSV of one kind, which its header tells.
        campaigns_file: campaigns alone, as CSV or TOML.
        contacts_file: contacts alone, as CSV or TOML.

    Raises:
        ConfigurationError: as `reading.read_file`; or a row is in two files.
    """
    return combine(
        [
            (path, read_file(path, setting, only))
            for path, setting, only in places(register_file, campaigns_file, contacts_file)
        ]
    )


Place = tuple[Path, str, Kind | None]
"""A file, the setting that names it, and the one kind of rows it may hold; None for any."""


def places(register_file: Path | None, campaigns_file: Path | None, contacts_file: Path | None) -> list[Place]:
    """List the files that are named."""
    named = [
        (register_file, "register_file", None),
        (campaigns_file, "campaigns_file", Kind.CAMPAIGNS),
        (contacts_file, "contacts_file", Kind.CONTACTS),
    ]
    return [(path, setting, only) for path, setting, only in named if path is not None]


def combine(files: Sequence[tuple[Path, Rows]]) -> Register:
    """Put the rows of several files together.

    Raises:
        ConfigurationError: a number, campaign or contact is in two of them.
    """
    numbers, campaigns, contacts = (_merged(kind, files) for kind in Kind)
    return Register(numbers.values(), campaigns.values(), contacts)


def _merged(kind: Kind, files: Sequence[tuple[Path, Rows]]) -> dict[str, Any]:
    filled = [(path, rows.of(kind)) for path, rows in files if rows.of(kind)]
    if len(filled) <= 1:
        # A million contacts are not copied.
        return filled[0][1] if filled else {}
    (first, merged), *others = filled
    merged = dict(merged)
    for path, rows in others:
        twice = merged.keys() & rows.keys()
        if twice:
            key = min(twice)
            more = f" (and {len(twice) - 1} more)" if len(twice) > 1 else ""
            raise ConfigurationError(
                f"{path}: {SCHEMAS[kind].key}: {key} is already in {first}; keep one of them{more}"
            )
        merged |= rows
    return merged
