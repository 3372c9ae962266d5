"""Who calls and who is called: numbers that nobody owns, with the places Twilio looks up for them."""

from __future__ import annotations

import msgspec

from streams.ingest.simulator.draws import gamma, normal, pick, stream
from streams.ingest.simulator.scenario import Campaign, Scenario


class Place(msgspec.Struct, frozen=True):
    """What Twilio tells of a number's origin; blank where its look-up found nothing."""

    city: str
    state: str
    zip_code: str
    country: str = "US"


class Number(msgspec.Struct, frozen=True, kw_only=True):
    """One of the company's numbers.

    Attributes:
        number: E.164.
        campaign: what it calls for.
        place: where Twilio believes it is.
        first_contact: where its share of the contacts begins.
        stir_status: the attestation of its calls: A, B, or the text null.
        completed_only: whether only `completed` is subscribed to.
        volume: its level of volume around 1.
        answer_effect: what it adds to the log odds of an answer.
    """

    number: str
    campaign: Campaign
    place: Place
    first_contact: int
    stir_status: str
    completed_only: bool
    volume: float
    answer_effect: float


# Of all exchanges only 555 is kept free of people; its lines 0100 to 0199, set aside for fiction, are used first.
_FIRST_LINE = 100
_LINES = 9_900

# Carriers keep 950 for access to other carriers, and 958 and 959 for tests of the plant: nobody has such a number.
_EXCHANGES = ("555", "950", "958", "959")

# An 888 number has no place, as in the bodies Twilio sends for toll-free callers.
_OWN_AREAS: tuple[tuple[str, Place], ...] = (
    ("202", Place("WASHINGTON", "DC", "20004")),
    ("617", Place("BOSTON", "MA", "02110")),
    ("404", Place("ATLANTA", "GA", "30303")),
    ("215", Place("PHILADELPHIA", "PA", "19103")),
    ("305", Place("MIAMI", "FL", "33131")),
    ("888", Place("", "", "")),
    ("704", Place("CHARLOTTE", "NC", "28202")),
    ("614", Place("COLUMBUS", "OH", "43215")),
)

# All in the Eastern zone, whose calling hours the week's shape keeps, and in states that ask for no more than the
# federal hours: New York, New Jersey, North Carolina, Virginia, Ohio, West Virginia, Delaware.
_CONTACT_AREAS: tuple[tuple[str, Place], ...] = (
    ("212", Place("NEW YORK", "NY", "10001")),
    ("718", Place("BROOKLYN", "NY", "11201")),
    ("914", Place("WHITE PLAINS", "NY", "10601")),
    ("315", Place("SYRACUSE", "NY", "13202")),
    ("518", Place("ALBANY", "NY", "12207")),
    ("585", Place("ROCHESTER", "NY", "14604")),
    ("716", Place("BUFFALO", "NY", "14202")),
    ("201", Place("JERSEY CITY", "NJ", "07302")),
    ("973", Place("NEWARK", "NJ", "07102")),
    ("732", Place("NEW BRUNSWICK", "NJ", "08901")),
    ("609", Place("TRENTON", "NJ", "08608")),
    ("919", Place("RALEIGH", "NC", "27601")),
    ("336", Place("GREENSBORO", "NC", "27401")),
    ("910", Place("WILMINGTON", "NC", "28401")),
    ("703", Place("ARLINGTON", "VA", "22201")),
    ("804", Place("RICHMOND", "VA", "23219")),
    ("757", Place("NORFOLK", "VA", "23510")),
    ("216", Place("CLEVELAND", "OH", "44113")),
    ("513", Place("CINCINNATI", "OH", "45202")),
    ("330", Place("AKRON", "OH", "44308")),
    ("304", Place("CHARLESTON", "WV", "25301")),
    ("302", Place("WILMINGTON", "DE", "19801")),
)

_PACIFIC_AREAS: tuple[tuple[str, Place], ...] = (("213", Place("LOS ANGELES", "CA", "90012")),)

# Mobile numbers come with a state but neither city nor zip: every third contact.
_WITHOUT_CITY = 3


def own_number(index: int) -> tuple[str, Place]:
    """Name the index-th of the company's numbers and where it is.

    Raises:
        ValueError: there are not so many.

    >>> own_number(0)[0]
    '+12025550100'
    """
    return _take(_OWN_AREAS, index)


def contact(index: int) -> tuple[str, Place]:
    """Name the index-th person to call and where that person is.

    Raises:
        ValueError: there are not so many.
    """
    number, place = _take(_CONTACT_AREAS, index)
    return (number, Place("", place.state, "")) if index % _WITHOUT_CITY == 0 else (number, place)


def neighbor_number(index: int) -> tuple[str, Place]:
    """Name the index-th of the company's numbers that lie where the people are: four exchanges of an area in turn.

    >>> [neighbor_number(index)[0] for index in (0, 1, 4)]
    ['+12125559999', '+12129509999', '+17185559999']
    """
    turn, exchange = divmod(index, len(_EXCHANGES))
    turn, area = divmod(turn, len(_CONTACT_AREAS))
    code, place = _CONTACT_AREAS[area]
    return f"+1{code}{_EXCHANGES[exchange]}{_FIRST_LINE + _LINES - 1 - turn:04d}", place


def neighbor_contact(index: int) -> tuple[str, Place]:
    """Name the index-th person to call where people have the same exchanges as those numbers.

    >>> contact(22)[0], neighbor_contact(22)[0]
    ('+12125550101', '+12129500101')
    """
    number, place = contact(index)
    exchange = _EXCHANGES[index // len(_CONTACT_AREAS) % len(_EXCHANGES)]
    return f"{number[:5]}{exchange}{number[8:]}", place


def pacific_contact(index: int) -> tuple[str, Place]:
    """Name the index-th person whose number lies in the Pacific zone."""
    return _take(_PACIFIC_AREAS, index)


def exchange_of(number: str) -> str:
    """The area code and exchange of a number of the North American plan, NPA-NXX.

    >>> exchange_of("+12125550100")
    '212555'
    """
    return number[2:8]


def _take(areas: tuple[tuple[str, Place], ...], index: int) -> tuple[str, Place]:
    line, area = divmod(index, len(areas))
    if line >= _LINES:
        raise ValueError(f"no number {index}: make the fleet or its contacts smaller, {len(areas) * _LINES} at most")
    code, place = areas[area]
    return f"+1{code}555{_FIRST_LINE + line:04d}", place


def build_fleet(scenario: Scenario, seed: int) -> tuple[tuple[Number, ...], ...]:
    """Make the numbers of each campaign.

    Raises:
        ValueError: the fleet needs more numbers or contacts than there are.
    """
    fleet = []
    index = 0
    for campaign in scenario.campaigns:
        numbers = []
        for position in range(campaign.numbers):
            number, place = (neighbor_number if campaign.neighbors else own_number)(index)
            draw = stream(seed, "number", number)
            numbers.append(
                Number(
                    number=number,
                    campaign=campaign,
                    place=place,
                    first_contact=index * scenario.contacts_per_number,
                    stir_status=pick(draw, scenario.stir_statuses),
                    completed_only=position < campaign.completed_only,
                    volume=gamma(draw, scenario.number_variation),
                    answer_effect=scenario.number_answer_effect * normal(draw),
                )
            )
            index += 1
        fleet.append(tuple(numbers))
    contact(index * scenario.contacts_per_number + len(scenario.opt_outs) + len(scenario.attempts))
    return tuple(fleet)


def kept_contact(scenario: Scenario, index: int) -> tuple[str, Place]:
    """Name a person outside every number's share, for the index-th opt-out or attempts, whom nobody else calls."""
    numbers = sum(campaign.numbers for campaign in scenario.campaigns)
    return contact(numbers * scenario.contacts_per_number + index)
