-- Receipts: the workers of all gateways with what each has applied, so that a restarted control plane knows whom to
-- wait for; and how long a gateway's workers may go on without contact.

CREATE TABLE workers (
    -- No reference: a gateway's workers are counted beyond its deletion, because they may still serve.
    gateway_id   INTEGER NOT NULL,
    name         TEXT    NOT NULL,
    node         TEXT,
    -- The number of its latest poll, which tells what is said of it first from what is said later.
    polls        INTEGER NOT NULL,
    last_seen_at INTEGER NOT NULL,
    -- What it has applied; NULL before its first snapshot is in.
    epoch        INTEGER,
    revision     INTEGER,
    -- The longest time without contact, in milliseconds, that it may serve on for; NULL for ever.
    bound_ms     INTEGER,
    memory_bytes INTEGER,
    -- Which process wrote the row last: a random number, new with each start.
    saved_by     INTEGER NOT NULL,
    CHECK ((epoch IS NULL) = (revision IS NULL)),
    PRIMARY KEY (gateway_id, name)
) STRICT, WITHOUT ROWID;

-- 0 from a restore until the database has been served for long enough that every living worker has been heard.
ALTER TABLE control ADD COLUMN settled INTEGER NOT NULL DEFAULT 1 CHECK (settled IN (0, 1));

-- After this long without contact a worker of the gateway refuses everything; NULL if it never does.
ALTER TABLE gateways ADD COLUMN max_staleness_ms INTEGER;
