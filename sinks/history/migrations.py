"""The tables of the history, as the list of steps that led to them.

Rules of the schema: a row is identified by its place in the log (`log_partition`, `log_offset`). Times are TIMESTAMPTZ,
so that `placed_at > now() - interval 1 hour` is right whatever the time zone of the session. Words such as status and
disposition are VARCHAR: DuckDB stores them as dictionaries, and a new word needs no migration as an ENUM would. No
table has an index: DuckDB does not reclaim deleted rows of indexed tables.
"""

from __future__ import annotations

import duckdb

_CALL_COLUMNS = """
    call_sid VARCHAR, account_sid VARCHAR, number VARCHAR, contact VARCHAR, campaign VARCHAR, direction VARCHAR,
    status VARCHAR, answered_by VARCHAR, sip_code INTEGER, stir_status VARCHAR,
    placed_at TIMESTAMPTZ, answered_at TIMESTAMPTZ, ended_at TIMESTAMPTZ, ring_seconds BIGINT, talk_seconds BIGINT,
    disposition VARCHAR, parent_call_sid VARCHAR, counted BOOLEAN, revision BIGINT
"""

_CALL_NAMES = """
    call_sid, account_sid, number, contact, campaign, direction, status, answered_by, sip_code, stir_status,
    placed_at, answered_at, ended_at, ring_seconds, talk_seconds, disposition, parent_call_sid, counted, revision
"""

_FIRST = (
    """
    CREATE TABLE source_offsets (topic VARCHAR NOT NULL, partition INTEGER NOT NULL, next_offset BIGINT NOT NULL)
    """,
    # The highest origin seen, by partition of `calls` and of `callbacks`: what does not ascend was there before.
    """
    CREATE TABLE fact_origins (
        log_partition INTEGER NOT NULL, origin_partition INTEGER NOT NULL,
        origin_offset BIGINT NOT NULL, origin_index BIGINT NOT NULL
    )
    """,
    """
    CREATE TABLE callbacks (
        log_partition INTEGER NOT NULL, log_offset BIGINT NOT NULL, received_at TIMESTAMPTZ NOT NULL,
        call_sid VARCHAR, account_sid VARCHAR, kind VARCHAR, endpoint VARCHAR, campaign VARCHAR,
        happened_at TIMESTAMPTZ, status VARCHAR, sequence BIGINT, number VARCHAR, contact VARCHAR, direction VARCHAR,
        parent_call_sid VARCHAR, call_duration BIGINT, sip_code INTEGER, answered_by VARCHAR, stir_status VARCHAR,
        event_id VARCHAR, problems VARCHAR[], params JSON
    )
    """,
    f"""
    CREATE TABLE call_facts (
        log_partition INTEGER NOT NULL, log_offset BIGINT NOT NULL, fact VARCHAR, happened_at TIMESTAMPTZ,
        origin_partition INTEGER, origin_offset BIGINT, origin_index BIGINT, {_CALL_COLUMNS}
    )
    """,
    # A call moves from the one table to the other when it ends. Deletes touch the small one, and the newest end of the
    # large one where a verdict came late; `settled_at` says how far back to look for a call.
    f"CREATE TABLE open_calls ({_CALL_COLUMNS})",
    f"CREATE TABLE ended_calls ({_CALL_COLUMNS}, settled_at TIMESTAMPTZ NOT NULL)",
    f"""
    CREATE VIEW calls AS
    SELECT {_CALL_NAMES} FROM ended_calls UNION ALL SELECT {_CALL_NAMES} FROM open_calls
    """,  # noqa: S608 - constants of this file
    """
    CREATE TABLE alerts (
        log_partition INTEGER NOT NULL, log_offset BIGINT NOT NULL, alert_id VARCHAR, sequence BIGINT, rule VARCHAR,
        subject_kind VARCHAR, subject_value VARCHAR, state VARCHAR, severity VARCHAR,
        happened_at TIMESTAMPTZ, since TIMESTAMPTZ, evidence JSON, message VARCHAR
    )
    """,
    """
    CREATE TABLE suppression_records (
        log_partition INTEGER NOT NULL, log_offset BIGINT NOT NULL, recorded_at TIMESTAMPTZ,
        subject_kind VARCHAR, subject_value VARCHAR, lifted BOOLEAN, rule VARCHAR, scope VARCHAR,
        alert_id VARCHAR, starts_at TIMESTAMPTZ, ends_at TIMESTAMPTZ, reason VARCHAR, evidence JSON
    )
    """,
    # One record after the other of the same subject, rule and scope; one that says what the one before said is no
    # change.
    """
    CREATE VIEW suppressions AS
    SELECT * FROM suppression_records
    QUALIFY coalesce(
        row(lifted, alert_id, starts_at, ends_at) IS DISTINCT FROM
        lag(row(lifted, alert_id, starts_at, ends_at)) OVER (
            PARTITION BY subject_kind, subject_value, rule, scope, log_partition ORDER BY log_offset
        ), true
    )
    """,
    """
    CREATE VIEW suppressions_now AS
    SELECT * FROM (
        SELECT * FROM suppression_records
        QUALIFY row_number() OVER (
            PARTITION BY subject_kind, subject_value, rule, scope ORDER BY log_offset DESC
        ) = 1
    )
    WHERE NOT lifted AND (ends_at IS NULL OR ends_at > now())
    """,
    """
    CREATE TABLE opt_outs (
        log_partition INTEGER NOT NULL, log_offset BIGINT NOT NULL, received_at TIMESTAMPTZ, contact VARCHAR,
        opted_out BOOLEAN, source VARCHAR, channel VARCHAR, number VARCHAR, campaign VARCHAR, account_sid VARCHAR,
        sid VARCHAR, said VARCHAR, endpoint VARCHAR
    )
    """,
    """
    CREATE TABLE dead_letters (
        log_topic VARCHAR NOT NULL, log_partition INTEGER NOT NULL, log_offset BIGINT NOT NULL, source VARCHAR,
        reason VARCHAR, set_aside_at TIMESTAMPTZ, key BLOB, body BLOB
    )
    """,
)

_CHANGE_COLUMNS = """
    log_partition, log_offset, recorded_at, subject_kind, subject_value, lifted, rule, scope, alert_id, starts_at,
    ends_at, reason, evidence, allows, author
"""

# A record whose cause lies before that of an earlier one of its key, in offset and in time, says nothing: it is of a
# worker that was taken for dead, or that did its work again. Records of before have no cause and are never passed over.
_EFFECTIVE = """
    SELECT * FROM suppression_records
    WINDOW earlier AS (
        PARTITION BY subject_kind, subject_value, rule, scope, log_partition ORDER BY log_offset
        ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
    )
    QUALIFY NOT coalesce(
        cause_offset < max(cause_offset) OVER earlier AND cause_at <= max(cause_at) OVER earlier, false
    )
"""

_OVERRIDES = (
    "DROP VIEW suppressions",
    "DROP VIEW suppressions_now",
    "ALTER TABLE suppression_records ADD COLUMN allows BOOLEAN DEFAULT false",
    "ALTER TABLE suppression_records ADD COLUMN author VARCHAR",
    "ALTER TABLE suppression_records ADD COLUMN cause_offset BIGINT",
    "ALTER TABLE suppression_records ADD COLUMN cause_at BIGINT",
    f"""
    CREATE VIEW suppressions AS
    SELECT {_CHANGE_COLUMNS} FROM ({_EFFECTIVE})
    QUALIFY coalesce(
        row(lifted, alert_id, starts_at, ends_at, allows, author) IS DISTINCT FROM
        lag(row(lifted, alert_id, starts_at, ends_at, allows, author)) OVER (
            PARTITION BY subject_kind, subject_value, rule, scope, log_partition ORDER BY log_offset
        ), true
    )
    """,  # noqa: S608 - constants of this file
    # A person's word that allows a subject is none of what suppresses it, and takes all of that away while it holds.
    f"""
    CREATE VIEW suppressions_now AS
    WITH latest AS (
        SELECT {_CHANGE_COLUMNS} FROM ({_EFFECTIVE})
        QUALIFY row_number() OVER (
            PARTITION BY subject_kind, subject_value, rule, scope ORDER BY log_offset DESC
        ) = 1
    ),
    held AS (SELECT * FROM latest WHERE NOT lifted AND (ends_at IS NULL OR ends_at > now()))
    SELECT * FROM held
    ANTI JOIN (FROM held WHERE allows) AS allowed USING (subject_kind, subject_value)
    """,  # noqa: S608 - constants of this file
)

MIGRATIONS: tuple[tuple[str, ...], ...] = (_FIRST, _OVERRIDES)
"""Statements by step; step n leads from version n to n + 1. A step that was released is never edited."""

CURRENT = len(MIGRATIONS)


def version_of(connection: duckdb.DuckDBPyConnection) -> int | None:
    """The version of the schema: 0 of an empty database, None if the tables are not ringwatch's."""
    tables = {name for (name,) in connection.execute("SELECT table_name FROM duckdb_tables()").fetchall()}
    if not tables:
        return 0
    if "schema_version" not in tables:
        return None
    row = connection.execute("SELECT max(version) FROM schema_version").fetchone()
    return 0 if row is None or row[0] is None else int(row[0])


def migrate(connection: duckdb.DuckDBPyConnection, migrations: tuple[tuple[str, ...], ...] = MIGRATIONS) -> None:
    """Bring the schema to the newest version, all steps in one transaction."""
    done = version_of(connection) or 0
    if done >= len(migrations):
        return
    connection.execute("BEGIN TRANSACTION")
    try:
        connection.execute(
            "CREATE TABLE IF NOT EXISTS schema_version (version INTEGER NOT NULL, applied_at TIMESTAMPTZ NOT NULL)"
        )
        for version, statements in enumerate(migrations[done:], start=done + 1):
            for statement in statements:
                connection.execute(statement)
            connection.execute("INSERT INTO schema_version VALUES (?, now())", [version])
        connection.execute("COMMIT")
    except BaseException:
        connection.execute("ROLLBACK")
        raise
