-- The same tables as SQLite's, see migrations/sqlite. Ids are the 64-bit numbers behind the prefixed texts,
-- instants are milliseconds since the Unix epoch, and digests are SHA-256. No secret is stored anywhere.

-- One row: whose history this is, and how far it has come. Every write locks it first, so that revisions follow
-- the order of commits.
CREATE TABLE control (
    only_row        BIGINT PRIMARY KEY CHECK (only_row = 1),
    epoch           BIGINT NOT NULL,
    revision        BIGINT NOT NULL,
    -- Changes up to this revision are no longer in the change log: a worker that is behind it gets a snapshot.
    pruned_revision BIGINT NOT NULL,
    -- How often a gateway was deleted, or given other APIs or another token.
    gateway_changes BIGINT NOT NULL DEFAULT 0
);

CREATE TABLE organizations (
    id         BIGINT PRIMARY KEY,
    name       TEXT   NOT NULL,
    created_at BIGINT NOT NULL,
    deleted_at BIGINT
);
CREATE UNIQUE INDEX organizations_by_name ON organizations (name) WHERE deleted_at IS NULL;

CREATE TABLE users (
    id              BIGINT PRIMARY KEY,
    name            TEXT   NOT NULL,
    role            TEXT   NOT NULL CHECK (role IN ('operator', 'admin', 'member')),
    organization_id BIGINT REFERENCES organizations (id),
    -- A PHC string of argon2id; NULL for a user who cannot sign in with a password.
    password_hash   TEXT,
    created_at      BIGINT NOT NULL,
    deleted_at      BIGINT,
    CHECK ((role = 'operator') = (organization_id IS NULL))
);
CREATE UNIQUE INDEX users_by_name ON users (name) WHERE deleted_at IS NULL;
CREATE INDEX users_by_organization ON users (organization_id, id);

CREATE TABLE access_tokens (
    id         BIGINT  PRIMARY KEY,
    user_id    BIGINT  NOT NULL REFERENCES users (id),
    name       TEXT    NOT NULL,
    digest     BYTEA   NOT NULL UNIQUE CHECK (octet_length(digest) = 32),
    masked     TEXT    NOT NULL DEFAULT '',
    -- The one token that the environment sets or the first start prints.
    bootstrap  BOOLEAN NOT NULL,
    created_at BIGINT  NOT NULL,
    expires_at BIGINT,
    revoked_at BIGINT
);
CREATE INDEX access_tokens_by_user ON access_tokens (user_id, id);

CREATE TABLE apis (
    id                 BIGINT  PRIMARY KEY,
    name               TEXT    NOT NULL UNIQUE,
    kind               TEXT    NOT NULL CHECK (kind IN ('serverless', 'dedicated')),
    organization_id    BIGINT  REFERENCES organizations (id),
    -- A JSON list of hosts; the empty list stands for every host.
    hosts              TEXT    NOT NULL,
    path_prefix        TEXT    NOT NULL,
    rate_limit         TEXT,
    price              TEXT,
    forward_credential BOOLEAN NOT NULL,
    created_at         BIGINT  NOT NULL,
    CHECK ((kind = 'dedicated') = (organization_id IS NOT NULL))
);
CREATE INDEX apis_by_path_prefix ON apis (path_prefix);

CREATE TABLE keys (
    id                 BIGINT  PRIMARY KEY,
    kind               TEXT    NOT NULL CHECK (kind IN ('serverless', 'dedicated')),
    organization_id    BIGINT  NOT NULL REFERENCES organizations (id),
    name               TEXT    NOT NULL,
    digest             BYTEA   NOT NULL UNIQUE CHECK (octet_length(digest) = 32),
    masked             TEXT    NOT NULL,
    -- Name and masked value in lower case, which is what a search looks through. Ordered by code point, as
    -- SQLite does.
    search_text        TEXT    COLLATE "C" NOT NULL,
    created_by         BIGINT  NOT NULL REFERENCES users (id),
    issued_at          BIGINT  NOT NULL,
    expires_at         BIGINT,
    -- A JSON list of API ids; NULL stands for every API of the key's kind and organization. An API that is
    -- deleted stays in the list, so that a key confined to it opens nothing rather than everything.
    apis               TEXT,
    rate_limit_enabled BOOLEAN NOT NULL,
    last_used_at       BIGINT,
    revoked_at         BIGINT,
    reissued_at        BIGINT,
    CHECK (kind = 'dedicated' OR NOT rate_limit_enabled)
);
CREATE INDEX keys_by_organization ON keys (organization_id, id);
CREATE INDEX keys_by_creator ON keys (created_by, id);
-- The order of a snapshot.
CREATE INDEX keys_live ON keys (digest) WHERE revoked_at IS NULL;
CREATE INDEX keys_revoked ON keys (id) WHERE revoked_at IS NOT NULL;
-- The other orders of a list. The searched text begins with the name.
CREATE INDEX keys_by_name ON keys (search_text, id) WHERE revoked_at IS NULL;
CREATE INDEX keys_by_organization_name ON keys (organization_id, search_text, id) WHERE revoked_at IS NULL;
CREATE INDEX keys_by_expiry ON keys (coalesce(expires_at, 9223372036854775807), id) WHERE revoked_at IS NULL;
CREATE INDEX keys_by_last_use ON keys (coalesce(last_used_at, -1), id) WHERE revoked_at IS NULL;
CREATE INDEX keys_by_organization_expiry
    ON keys (organization_id, coalesce(expires_at, 9223372036854775807), id) WHERE revoked_at IS NULL;
CREATE INDEX keys_by_organization_last_use
    ON keys (organization_id, coalesce(last_used_at, -1), id) WHERE revoked_at IS NULL;
-- Which keys contain three characters in a row, for searches. The extension comes with PostgreSQL.
CREATE EXTENSION IF NOT EXISTS pg_trgm;
CREATE INDEX keys_search ON keys USING gin (search_text gin_trgm_ops);

-- Secrets that a key had before. One is live while a planned rotation lets both of a key's secrets work; the
-- others are kept, so that a leak of one is recognized.
CREATE TABLE former_secrets (
    digest  BYTEA   PRIMARY KEY CHECK (octet_length(digest) = 32),
    key_id  BIGINT  NOT NULL REFERENCES keys (id),
    masked  TEXT    NOT NULL,
    ends_at BIGINT  NOT NULL,
    live    BOOLEAN NOT NULL
);
CREATE UNIQUE INDEX former_secrets_by_key ON former_secrets (key_id) WHERE live;
CREATE INDEX former_secrets_live ON former_secrets (digest) WHERE live;

CREATE TABLE gateways (
    id             BIGINT PRIMARY KEY,
    name           TEXT   NOT NULL UNIQUE,
    digest         BYTEA  NOT NULL UNIQUE CHECK (octet_length(digest) = 32),
    masked         TEXT   NOT NULL,
    created_at     BIGINT NOT NULL,
    -- A JSON list of API ids; NULL stands for every API.
    apis           TEXT,
    -- A worker that is behind this revision gets a snapshot: which keys concern its gateway has changed since.
    scope_revision BIGINT NOT NULL DEFAULT 0
);

-- Which keys and APIs each revision touched. What has become of them is read from their tables, so that the log
-- and the state cannot contradict each other: a digest that no live key has was deleted.
CREATE TABLE changes (
    sequence     BIGINT PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    revision     BIGINT NOT NULL,
    key_digest   BYTEA  CHECK (octet_length(key_digest) = 32),
    api_id       BIGINT,
    -- What the key opened before the change, as JSON: which gateways held it. NULL for a new key.
    reach_before TEXT,
    CHECK ((key_digest IS NULL) <> (api_id IS NULL))
);
CREATE INDEX changes_by_revision ON changes (revision, sequence);

-- What a request with an Idempotency-Key made. Secrets are not here.
CREATE TABLE idempotency (
    token_id        BIGINT NOT NULL REFERENCES access_tokens (id),
    idempotency_key TEXT   NOT NULL,
    request_digest  BYTEA  NOT NULL CHECK (octet_length(request_digest) = 32),
    subject         TEXT   NOT NULL,
    created_at      BIGINT NOT NULL,
    PRIMARY KEY (token_id, idempotency_key)
);
CREATE INDEX idempotency_by_age ON idempotency (created_at);

CREATE TABLE audit (
    sequence        BIGINT PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    at              BIGINT NOT NULL,
    -- Who: NULL when the control plane itself or its command line acted.
    user_id         BIGINT REFERENCES users (id),
    token_id        BIGINT REFERENCES access_tokens (id),
    action          TEXT   NOT NULL,
    -- The id of what was acted upon; NULL where a refusal left nothing.
    subject         TEXT,
    organization_id BIGINT REFERENCES organizations (id),
    outcome         TEXT   NOT NULL CHECK (outcome IN ('done', 'refused')),
    -- The HTTP status of a refusal.
    status          BIGINT,
    origin          TEXT,
    revision        BIGINT,
    before          TEXT,
    after           TEXT
);
CREATE INDEX audit_by_organization ON audit (organization_id, sequence);
CREATE INDEX audit_by_user ON audit (user_id, sequence);
CREATE INDEX audit_by_subject ON audit (subject, sequence);
CREATE INDEX audit_by_action ON audit (action, sequence);
CREATE INDEX audit_refused ON audit (sequence) WHERE outcome = 'refused';
