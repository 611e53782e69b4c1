-- People, their roles and passwords; access tokens that expire; two secrets of a key during a planned rotation;
-- gateways that serve some APIs only; an audit that says what was refused, and what was before and after.
--
-- It runs with foreign keys off, as SQLite wants it for tables that are built anew, and they are checked afterwards.

-- How often a gateway was deleted, or given other APIs or another token: news to everyone who shares the database.
ALTER TABLE control ADD COLUMN gateway_changes INTEGER NOT NULL DEFAULT 0;

CREATE TABLE organizations_new (
    id         INTEGER PRIMARY KEY,
    name       TEXT    NOT NULL,
    created_at INTEGER NOT NULL,
    deleted_at INTEGER
) STRICT;
INSERT INTO organizations_new (id, name, created_at) SELECT id, name, created_at FROM organizations;
DROP TABLE organizations;
ALTER TABLE organizations_new RENAME TO organizations;
CREATE UNIQUE INDEX organizations_by_name ON organizations (name) WHERE deleted_at IS NULL;

CREATE TABLE users_new (
    id              INTEGER PRIMARY KEY,
    name            TEXT    NOT NULL,
    role            TEXT    NOT NULL CHECK (role IN ('operator', 'admin', 'member')),
    organization_id INTEGER REFERENCES organizations (id),
    -- A PHC string of argon2id; NULL for a user who cannot sign in with a password.
    password_hash   TEXT,
    created_at      INTEGER NOT NULL,
    deleted_at      INTEGER,
    CHECK ((role = 'operator') = (organization_id IS NULL))
) STRICT;
INSERT INTO users_new (id, name, role, created_at) SELECT id, name, role, created_at FROM users;
DROP TABLE users;
ALTER TABLE users_new RENAME TO users;
CREATE UNIQUE INDEX users_by_name ON users (name) WHERE deleted_at IS NULL;
CREATE INDEX users_by_organization ON users (organization_id, id);

ALTER TABLE access_tokens ADD COLUMN masked TEXT NOT NULL DEFAULT '';
ALTER TABLE access_tokens ADD COLUMN expires_at INTEGER;
CREATE INDEX access_tokens_by_user ON access_tokens (user_id, id);

-- Secrets that a key had before. One is live while a planned rotation lets both of a key's secrets work; the
-- others are kept, so that a leak of one is recognized.
CREATE TABLE former_secrets (
    digest  BLOB    PRIMARY KEY CHECK (length(digest) = 32),
    key_id  INTEGER NOT NULL REFERENCES keys (id),
    masked  TEXT    NOT NULL,
    ends_at INTEGER NOT NULL,
    live    INTEGER NOT NULL CHECK (live IN (0, 1))
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX former_secrets_by_key ON former_secrets (key_id) WHERE live;
CREATE INDEX former_secrets_live ON former_secrets (digest) WHERE live;

CREATE INDEX keys_by_creator ON keys (created_by, id);
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

-- Which keys contain three characters in a row, for searches.
CREATE VIRTUAL TABLE keys_search USING fts5 (
    search_text, content = 'keys', content_rowid = 'id', tokenize = 'trigram case_sensitive 1'
);
INSERT INTO keys_search (keys_search) VALUES ('rebuild');
CREATE TRIGGER keys_search_insert AFTER INSERT ON keys BEGIN
    INSERT INTO keys_search (rowid, search_text) VALUES (new.id, new.search_text);
END;
CREATE TRIGGER keys_search_update AFTER UPDATE OF search_text ON keys BEGIN
    INSERT INTO keys_search (keys_search, rowid, search_text) VALUES ('delete', old.id, old.search_text);
    INSERT INTO keys_search (rowid, search_text) VALUES (new.id, new.search_text);
END;

-- A JSON list of API ids; NULL stands for every API.
ALTER TABLE gateways ADD COLUMN apis TEXT;
-- A worker that is behind this revision gets a snapshot: which keys concern its gateway has changed since.
ALTER TABLE gateways ADD COLUMN scope_revision INTEGER NOT NULL DEFAULT 0;

-- What the key opened before the change, as JSON: which gateways held it. NULL for a new key.
ALTER TABLE changes ADD COLUMN reach_before TEXT;

DROP TABLE idempotency;
-- What a request with an Idempotency-Key made. Secrets are not here.
CREATE TABLE idempotency (
    token_id        INTEGER NOT NULL REFERENCES access_tokens (id),
    idempotency_key TEXT    NOT NULL,
    request_digest  BLOB    NOT NULL CHECK (length(request_digest) = 32),
    subject         TEXT    NOT NULL,
    created_at      INTEGER NOT NULL,
    PRIMARY KEY (token_id, idempotency_key)
) STRICT, WITHOUT ROWID;
CREATE INDEX idempotency_by_age ON idempotency (created_at);

CREATE TABLE audit_new (
    sequence        INTEGER PRIMARY KEY,
    at              INTEGER NOT NULL,
    -- Who: NULL when the control plane itself or its command line acted.
    user_id         INTEGER REFERENCES users (id),
    token_id        INTEGER REFERENCES access_tokens (id),
    action          TEXT    NOT NULL,
    -- The id of what was acted upon; NULL where a refusal left nothing.
    subject         TEXT,
    organization_id INTEGER REFERENCES organizations (id),
    outcome         TEXT    NOT NULL CHECK (outcome IN ('done', 'refused')),
    -- The HTTP status of a refusal.
    status          INTEGER,
    origin          TEXT,
    revision        INTEGER,
    before          TEXT,
    after           TEXT
) STRICT;
INSERT INTO audit_new (sequence, at, user_id, token_id, action, subject, outcome, origin, revision)
    SELECT a.sequence, a.at, t.user_id, a.token_id,
           CASE a.action
               WHEN 'key.issued' THEN 'key.issue' WHEN 'key.changed' THEN 'key.change'
               WHEN 'key.revoked' THEN 'key.delete' WHEN 'key.reissued' THEN 'key.reissue'
               WHEN 'api.created' THEN 'api.create' WHEN 'api.changed' THEN 'api.change'
               WHEN 'api.deleted' THEN 'api.delete' WHEN 'organization.created' THEN 'organization.create'
               WHEN 'gateway.created' THEN 'gateway.create' WHEN 'gateway.deleted' THEN 'gateway.delete'
               WHEN 'bootstrap_token.created' THEN 'bootstrap_token.create'
               WHEN 'bootstrap_token.rotated' THEN 'bootstrap_token.rotate'
               ELSE a.action
           END,
           a.subject, 'done', a.origin, a.revision
    FROM audit a LEFT JOIN access_tokens t ON t.id = a.token_id;
DROP TABLE audit;
ALTER TABLE audit_new RENAME TO audit;
CREATE INDEX audit_by_organization ON audit (organization_id, sequence);
CREATE INDEX audit_by_user ON audit (user_id, sequence);
CREATE INDEX audit_by_subject ON audit (subject, sequence);
CREATE INDEX audit_by_action ON audit (action, sequence);
CREATE INDEX audit_refused ON audit (sequence) WHERE outcome = 'refused';
