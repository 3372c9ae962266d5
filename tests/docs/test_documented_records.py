from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

from schemas.alert import Alert
from schemas.call import CallFact, Disposition
from schemas.callback import Callback, CallbackKind
from schemas.dead_letter import DeadLetter
from schemas.opt_out import OptOut, OptOutSource
from schemas.silence import Silence
from schemas.suppression import Suppression
from schemas.times import DAY, HOUR
from schemas.topics import TOPICS, Cleanup, Topic
from schemas.wire import Versioned

RECORDS: tuple[type[Versioned], ...] = (Callback, CallFact, OptOut, Alert, Suppression, Silence, DeadLetter)


def kept(topic: Topic) -> str:
    """How long a topic keeps a record, as the page says it."""
    if topic.cleanup is Cleanup.COMPACT:
        return "for ever, the last of each key"
    if topic.retention is None:
        return "for ever"
    return f"{topic.retention // DAY} days" if topic.retention >= DAY else f"{topic.retention // HOUR} hour"


def test_the_topics_are_those_of_the_registry(page: Callable[[str], Any]) -> None:
    """docs/records.md lists every topic in order, with its key and how long it is kept."""
    rows = page("docs/records.md").table("topic", "key", "record", "kept")
    told = [(row[0].strip("`"), row[1], row[3]) for row in rows]
    expected = [(topic.name, topic.key, kept(topic)) for topic in TOPICS]
    assert [(name, key.lower(), how) for name, key, how in told] == [(n, k.lower(), h) for n, k, h in expected]


def test_each_record_has_an_example_that_is_one(page: Callable[[str], Any]) -> None:
    """Under each record's heading is an example with all of its fields, which decodes."""
    text = page("docs/records.md").text
    for record in RECORDS:
        found = re.search(rf"^## {record.__name__}\n.*?```json\n(.*?)```", text, re.MULTILINE | re.DOTALL)
        assert found is not None, record.__name__
        example = found.group(1)
        record.decode(example.encode())
        assert list(json.loads(example)) == [
            field for field in record.__struct_fields__ if field in json.loads(example)
        ]
        assert set(json.loads(example)) == set(record.__struct_fields__), record.__name__


def test_words_with_a_meaning_are_explained(page: Callable[[str], Any]) -> None:
    """The glossary explains every disposition, the records page every kind of callback, the rule every signal."""
    glossary = page("docs/glossary.md").text
    assert [word.value for word in Disposition if f"`{word.value}`" not in glossary] == []
    records = page("docs/records.md").text
    assert [kind.value for kind in CallbackKind if f"`{kind.value}`" not in records] == []
    signals = [row[0].strip("`") for row in page("docs/rules/opt_out.md").table("`signal`", "what it is")]
    assert sorted(signals) == sorted(source.value for source in OptOutSource)
    terms = [row[0] for row in page("docs/glossary.md").table("word", "meaning here")]
    wanted = {
        "ASR",
        "NER",
        "ACD",
        "PDD",
        "attempt",
        "seizure",
        "leg",
        "disposition",
        "watermark",
        "lateness",
        "partition",
    }
    assert sorted(terms, key=str.lower) == terms
    assert wanted | {"tombstone"} <= set(terms)
