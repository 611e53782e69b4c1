-- Ids are the 64-bit numbers behind the prefixed texts, instants are milliseconds since the Unix epoch, and
-- digests are SHA-256. No secret is stored anywhere.

-- One row: whose history this is, and how far it has come. Every write that filters must learn of locks it and
-- counts up, so revisions follow the order of commits.
CREATE TABLE control (
    only_row        INTEGER PRIMARY KEY CHECK (only_row = 1),
    epoch           INTEGER NOT NULL,
    revision        INTEGER NOT NULL,
    -- Changes up to this revision are no longer in the change log: a worker that is behind it gets a snapshot.
    pruned_revision INTEGER NOT NULL
) STRICT;

CREATE TABLE organizations (
    id         INTEGER PRIMARY KEY,
    name       TEXT    NOT NULL UNIQUE,
    created_at INTEGER NOT NULL
) STRICT;

CREATE TABLE users (
    id         INTEGER PRIMARY KEY,
    name       TEXT    NOT NULL UNIQUE,
    role       TEXT    NOT NULL CHECK (role IN ('operator')),
    created_at INTEGER NOT NULL
) STRICT;

CREATE TABLE access_tokens (
    id         INTEGER PRIMARY KEY,
    user_id    INTEGER NOT NULL REFERENCES users (id),
    name       TEXT    NOT NULL,
    digest     BLOB    NOT NULL UNIQUE CHECK (length(digest) = 32),
    -- The one token that the environment sets or the first start prints.
    bootstrap  INTEGER NOT NULL CHECK (bootstrap IN (0, 1)),
    created_at INTEGER NOT NULL,
    revoked_at INTEGER
) STRICT;

CREATE TABLE apis (
    id                 INTEGER PRIMARY KEY,
    name               TEXT    NOT NULL UNIQUE,
    kind               TEXT    NOT NULL CHECK (kind IN ('serverless', 'dedicated')),
    organization_id    INTEGER REFERENCES organizations (id),
    -- A JSON list of hosts; the empty list stands for every host.
    hosts              TEXT    NOT NULL,
    path_prefix        TEXT    NOT NULL,
    rate_limit         TEXT,
    price              TEXT,
    forward_credential INTEGER NOT NULL CHECK (forward_credential IN (0, 1)),
    created_at         INTEGER NOT NULL,
    CHECK ((kind = 'dedicated') = (organization_id IS NOT NULL))
) STRICT;
CREATE INDEX apis_by_path_prefix ON apis (path_prefix);

CREATE TABLE keys (
    id                 INTEGER PRIMARY KEY,
    kind               TEXT    NOT NULL CHECK (kind IN ('serverless', 'dedicated')),
    organization_id    INTEGER NOT NULL REFERENCES organizations (id),
    name               TEXT    NOT NULL,
    digest             BLOB    NOT NULL UNIQUE CHECK (length(digest) = 32),
    masked             TEXT    NOT NULL,
    -- Name and masked value in lower case, which is what a search looks through.
    search_text        TEXT    NOT NULL,
    created_by         INTEGER NOT NULL REFERENCES users (id),
    issued_at          INTEGER NOT NULL,
    expires_at         INTEGER,
    -- A JSON list of API ids; NULL stands for every API of the key's kind and organization. An API that is
    -- deleted stays in the list, so that a key confined to it opens nothing rather than everything.
    apis               TEXT,
    rate_limit_enabled INTEGER NOT NULL CHECK (rate_limit_enabled IN (0, 1)),
    last_used_at       INTEGER,
    revoked_at         INTEGER,
    reissued_at        INTEGER,
    CHECK (kind = 'dedicated' OR rate_limit_enabled = 0)
) STRICT;
CREATE INDEX keys_by_organization ON keys (organization_id, id);
-- The order of a snapshot.
CREATE INDEX keys_live ON keys (digest) WHERE revoked_at IS NULL;

CREATE TABLE gateways (
    id         INTEGER PRIMARY KEY,
    name       TEXT    NOT NULL UNIQUE,
    digest     BLOB    NOT NULL UNIQUE CHECK (length(digest) = 32),
    masked     TEXT    NOT NULL,
    created_at INTEGER NOT NULL
) STRICT;

-- Which keys and APIs each revision touched. What has become of them is read from their tables, so that the log
-- and the state cannot contradict each other: a digest that no live key has was deleted.
CREATE TABLE changes (
    sequence   INTEGER PRIMARY KEY,
    revision   INTEGER NOT NULL,
    key_digest BLOB CHECK (length(key_digest) = 32),
    api_id     INTEGER,
    CHECK ((key_digest IS NULL) <> (api_id IS NULL))
) STRICT;
CREATE INDEX changes_by_revision ON changes (revision);

-- Which key a request with an Idempotency-Key issued. The secret is not here.
CREATE TABLE idempotency (
    token_id       INTEGER NOT NULL REFERENCES access_tokens (id),
    idempotency_key TEXT   NOT NULL,
    request_digest BLOB    NOT NULL CHECK (length(request_digest) = 32),
    key_id         INTEGER NOT NULL REFERENCES keys (id),
    created_at     INTEGER NOT NULL,
    PRIMARY KEY (token_id, idempotency_key)
) STRICT, WITHOUT ROWID;
CREATE INDEX idempotency_by_age ON idempotency (created_at);

CREATE TABLE audit (
    sequence INTEGER PRIMARY KEY,
    at       INTEGER NOT NULL,
    -- NULL when the control plane itself acted, at its start.
    token_id INTEGER REFERENCES access_tokens (id),
    action   TEXT    NOT NULL,
    subject  TEXT    NOT NULL,
    origin   TEXT,
    revision INTEGER
) STRICT;
