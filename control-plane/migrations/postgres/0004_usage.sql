-- Usage and cost, budgets, and prices with their history.

-- What was used: for each hour, each day and each month (UTC), by whom, at which API, and how it ended. The sums of an
-- hour are in its day and its month as well; hours are dropped after a while, days and months stay.
CREATE TABLE usage (
    -- Whose: 'key', 'user', 'organization', or 'total' of everything.
    -- Ordered by code point, as SQLite does.
    grain             TEXT   COLLATE "C" NOT NULL CHECK (grain IN ('key', 'user', 'organization', 'total')),
    period            TEXT   COLLATE "C" NOT NULL CHECK (period IN ('hour', 'day', 'month')),
    -- 0 in 'total'. A user's usage is that of the keys which they have issued in one organization.
    organization_id   BIGINT NOT NULL,
    -- The key or the user; 0 in 'organization' and 'total'.
    subject_id        BIGINT NOT NULL,
    -- When the period began.
    start             BIGINT NOT NULL,
    api_id            BIGINT NOT NULL,
    outcome           TEXT   COLLATE "C" NOT NULL,
    requests          BIGINT NOT NULL,
    request_bytes     BIGINT NOT NULL,
    response_bytes    BIGINT NOT NULL,
    prompt_tokens     BIGINT NOT NULL,
    completion_tokens BIGINT NOT NULL,
    estimated         BIGINT NOT NULL,
    unknown           BIGINT NOT NULL,
    -- Cost in millionths of the currency, and the millionths of a millionth that are left, 0 to 999,999.
    cost_micros       BIGINT NOT NULL,
    cost_picos        BIGINT NOT NULL,
    PRIMARY KEY (grain, period, organization_id, subject_id, start, api_id, outcome)
);
-- What is dropped when it is old.
CREATE INDEX usage_hours ON usage (start) WHERE period = 'hour';
-- From when on hours are kept, the beginning of a day: what is counted late adds none that are older.
ALTER TABLE control ADD COLUMN usage_hours_from BIGINT NOT NULL DEFAULT 0;

-- Which reports have been counted: the last one of each worker. It is sent until it is answered, so earlier ones are
-- repetitions.
CREATE TABLE usage_reports (
    gateway_id BIGINT NOT NULL,
    worker     TEXT   NOT NULL,
    sequence   BIGINT NOT NULL,
    counted_at BIGINT NOT NULL,
    PRIMARY KEY (gateway_id, worker)
);
CREATE INDEX usage_reports_by_age ON usage_reports (counted_at);

-- Every price that an API has had. They stay when the API is deleted, so that what comes in late has its price.
CREATE TABLE api_prices (
    api_id  BIGINT NOT NULL,
    version BIGINT NOT NULL,
    set_at  BIGINT NOT NULL,
    -- JSON; NULL if calls cost nothing.
    price   TEXT,
    PRIMARY KEY (api_id, version)
);
ALTER TABLE apis ADD COLUMN price_version BIGINT NOT NULL DEFAULT 1;
ALTER TABLE apis ADD COLUMN count_tokens BOOLEAN NOT NULL DEFAULT TRUE;
INSERT INTO api_prices (api_id, version, set_at, price) SELECT id, 1, created_at, price FROM apis;

-- A ceiling for each month (UTC), as JSON; NULL if there is none. Once it is reached the keys open nothing until the
-- month turns: `over_budget_since` says when the control plane found out.
ALTER TABLE keys ADD COLUMN monthly_budget TEXT;
ALTER TABLE keys ADD COLUMN over_budget_since BIGINT;
CREATE INDEX keys_over_budget ON keys (over_budget_since) WHERE over_budget_since IS NOT NULL AND revoked_at IS NULL;
ALTER TABLE organizations ADD COLUMN monthly_budget TEXT;
ALTER TABLE organizations ADD COLUMN over_budget_since BIGINT;
CREATE INDEX organizations_over_budget ON organizations (over_budget_since)
    WHERE over_budget_since IS NOT NULL AND deleted_at IS NULL;

-- Changes touch organizations too, now that filters know something of them.
ALTER TABLE changes ADD COLUMN organization_id BIGINT;
ALTER TABLE changes DROP CONSTRAINT changes_check;
ALTER TABLE changes ADD CONSTRAINT changes_check CHECK (num_nonnulls(key_digest, api_id, organization_id) = 1);
