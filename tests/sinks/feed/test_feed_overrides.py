"""A person's word on a number or contact wins over every rule, and is recorded."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest

from schemas.alert import Subject, SubjectKind
from schemas.log import Record
from schemas.suppression import Suppression, read_author, read_suppression_key
from schemas.times import HOUR, to_iso

PERSON = "+12025550123"
PATH = f"/v1/suppressions/contact/{PERSON}"
ALLOW: dict[str, Any] = {"allow": True, "author": "ada", "reason": "asked to be called back"}


def records(log: Any) -> list[Record]:
    """The records of `suppressions`, in order of their appending to a partition."""
    return [one for (topic, _), all_ in sorted(log.kept.items()) if topic == "suppressions" for one in all_]


async def verdict(client: httpx.AsyncClient, path: str = PATH) -> dict[str, Any]:
    """The answer to a dialer."""
    found: dict[str, Any] = (await client.get(path)).raise_for_status().json()
    return found


def test_a_word_that_allows_frees_a_subject_everywhere(feed: SimpleNamespace) -> None:
    """Verdict, list, CSV and ETag follow a person's word; the verdict still tells what the rules say, and its end."""

    async def scenario() -> None:
        log = feed.MemoryLog(1)
        rule = feed.suppression(PERSON)
        await log.append([feed.suppression_record(rule), feed.suppression_record(feed.suppression("+12025550199"))])
        async with feed.running(log) as service, service.client() as client:
            before = (await client.get("/v1/suppressions")).headers["etag"]
            answer = await client.post(PATH, json=ALLOW)
            assert (answer.status_code, answer.json()["allow"], answer.json()["until"]) == (201, True, None)
            await service.settled()
            found = await verdict(client)
            word = {"allow": True, "author": "ada", "reason": ALLOW["reason"], "at": to_iso(feed.NOW), "until": None}
            assert found == rule.as_public() | {"suppressed": False, "overridden_by": word}
            listed = await client.get("/v1/suppressions", headers={"If-None-Match": before})
            assert [one["value"] for one in listed.json()["items"]] == ["+12025550199"]
            assert PERSON not in (await client.get("/v1/suppressions.csv")).text
            assert service.board.suppressions.get(Subject(SubjectKind.CONTACT, PERSON), feed.NOW) is None
            (shown,) = (await client.get("/v1/overrides")).json()["items"]
            assert shown == word | {"kind": "contact", "value": PERSON}
            ended = await client.delete(PATH, params={"author": "bob"})
            assert ended.status_code == 200
            await service.settled()
            assert await verdict(client) == rule.as_public() | {"suppressed": True, "overridden_by": None}
            assert (await client.get("/v1/overrides")).json()["items"] == []
            assert (await client.delete(PATH, params={"author": "bob"})).status_code == 404
        said, over = records(log)[-2:]
        assert Suppression.decode(said.value or b"").author == "ada"
        assert (read_author(said.headers), over.value, read_author(over.headers)) == ("ada", None, "bob")
        assert read_suppression_key(over.key or b"") == (Subject(SubjectKind.CONTACT, PERSON), "override", "")

    asyncio.run(scenario())


def test_a_word_that_suppresses_needs_no_rule(feed: SimpleNamespace) -> None:
    """A person may suppress what no rule does; the last word holds, also where the clock was set back."""

    async def scenario() -> None:
        async with feed.running(feed.MemoryLog()) as service, service.client() as client:
            path = "/v1/suppressions/number/+1%20(202)%20555-0100"
            body = {"allow": False, "author": "ada", "reason": "labelled as spam", "hours": 24}
            (await client.post(path, json=body)).raise_for_status()
            await service.settled()
            found = await verdict(client, path)
            assert (found["suppressed"], found["rule"], found["until"]) == (
                True,
                "override",
                to_iso(feed.NOW + 24 * HOUR),
            )
            assert found["overridden_by"]["author"] == "ada"
            (item,) = (await client.get("/v1/suppressions", params={"rule": "override"})).json()["items"]
            assert (item["value"], item["evidence"]["author"]) == ("+12025550100", "ada")
            service.clock[0] -= HOUR
            (await client.post(path, json=ALLOW)).raise_for_status()
            await service.settled()
            assert (await verdict(client, path))["suppressed"] is False
            assert service.board.overtaken == set()

    asyncio.run(scenario())


def test_the_stream_tells_of_words_and_of_their_end(feed: SimpleNamespace, tmp_path: Path) -> None:
    """The stream tells that a word frees a subject, not of rules meanwhile, and of what holds after it."""

    async def scenario() -> None:
        log = feed.MemoryLog(1)
        await log.append([feed.suppression_record(feed.suppression(PERSON))])
        async with (
            feed.running(log, telling=tmp_path) as service,
            service.client() as client,
            feed.served(service),
            feed.following(service, "?rule=opt_out") as events,
        ):
            await events.connected()
            (await client.post(PATH, json=ALLOW | {"hours": 1})).raise_for_status()
            freed = json.loads((await events.next()).data)
            assert (freed["value"], freed["lifted"], freed["overridden_by"]["author"]) == (PERSON, True, "ada")
            assert freed["overridden_by"]["until"] == to_iso(feed.NOW + HOUR)
            await log.append([feed.suppression_record(feed.suppression(PERSON, at=feed.NOW + 5))])
            assert json.loads((await events.next()).data)["lifted"] is True
            service.clock[0] += HOUR
            told = json.loads((await events.next()).data)
            assert (told["value"], told["rule"], "lifted" in told) == (PERSON, "opt_out", False)
            # Read from the log, the same is told as the journal told it.
            async with feed.following(service, "?from=beginning") as anew:
                last = [json.loads((await anew.next()).data) for _ in range(4)][-1]
            assert last == told
            assert len(records(log)) == 4

    asyncio.run(scenario())


def test_the_end_of_a_word_says_nothing_against_a_later_one(feed: SimpleNamespace, tmp_path: Path) -> None:
    """Where the end of an old word is recorded after a new word, as by a slow process, the new one stays."""

    async def scenario() -> None:
        log = feed.MemoryLog(1)
        await log.append([feed.suppression_record(feed.suppression(PERSON))])
        async with feed.running(log) as service, service.client() as client:
            (await client.post(PATH, json=ALLOW | {"hours": 1})).raise_for_status()
            await service.settled()
            service.clock[0] += HOUR + 1
            (await client.post(PATH, json=ALLOW)).raise_for_status()
            await service.settled()
            old, new = records(log)[-2:]
        slow = feed.MemoryLog(1)
        slow.kept, slow.offsets = {("suppressions", 0): [old]}, {("suppressions", 0): 2}
        async with feed.running(slow, telling=tmp_path) as service:
            service.clock[0] += HOUR + 1
            await feed.soon(lambda: len(records(slow)) == 2)
        late = records(slow)[-1]
        place = ("suppressions", 0)
        log.kept[place] = [*log.kept[place], type(late)(*place, 3, late.timestamp, late.key, None, late.headers)]
        log.offsets[place] = 4
        async with feed.running(log) as service, service.client() as client:
            service.clock[0] += HOUR + 2
            assert service.board.overtaken == {(0, 3)}
            assert (await verdict(client))["suppressed"] is False
        assert new.value

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("path", "change", "word"),
    [
        ("/v1/suppressions/campaign/spring-sale", {}, "kind"),
        ("/v1/suppressions/contact/2025550123", {}, "E.164"),
        (PATH, {"author": ""}, "author"),
        (PATH, {"reason": "  "}, "reason"),
        (PATH, {"allow": None}, "allow"),
        (PATH, {"until": "2020-01-01T00:00:00Z"}, "past"),
        (PATH, {"until": "2027-01-01T00:00:00Z", "hours": 1}, "not both"),
        (PATH, {"for": 1}, "for"),
    ],
)
def test_a_word_needs_a_subject_an_author_and_a_reason(
    feed: SimpleNamespace, path: str, change: dict[str, Any], word: str
) -> None:
    """What is missing or wrong is refused with one line that names it, and nothing is written."""

    async def scenario() -> None:
        log = feed.MemoryLog()
        async with feed.running(log) as service, service.client() as client:
            body = {name: value for name, value in (ALLOW | change).items() if value is not None}
            answer = await client.post(path, json=body)
            assert (answer.status_code, word in answer.json()["detail"]) == (422, True), answer.text
            log.away = True
            assert (await client.post(PATH, json=ALLOW)).status_code == 503
            log.away = False
            assert not log.kept

    asyncio.run(scenario())


def test_words_that_ended_are_let_go(feed: SimpleNamespace) -> None:
    """Sweeping takes words that suppressed for a time, and leaves those that allowed, whose end is still to be told."""

    async def scenario() -> None:
        async with feed.running(feed.MemoryLog()) as service:
            held = type(service.board.suppressions)(sweep_every=3)
            for value, allows in (("+1", True), ("+2", False), ("+3", False)):
                one = feed.suppression(value, rule="override", until=feed.NOW if value != "+3" else None)
                made = type(one).decode(
                    one.encode().replace(b'"allows":false', b'"allows":%s' % str(allows).lower().encode())
                )
                held.apply(made, made.encode(), feed.NOW + 100 * HOUR)
            assert [one.value for one in held.ended_allowances(feed.NOW + 100 * HOUR)] == ["+1"]
            assert [one.subject.value for one in held.overrides(feed.NOW)] == ["+3"]
            assert len(held) == 2

    asyncio.run(scenario())
