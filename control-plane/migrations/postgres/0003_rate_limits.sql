-- Filters hold callers to rate limits. Policies, and which keys are held to them, were stored before, but no filter was
-- told of them, so a worker that is up to date lacks them. Whoever is behind the log takes a snapshot, so the log is
-- emptied and ends with a new revision, which no worker has. (A new database has no row yet, and no worker.)
DELETE FROM changes;
UPDATE control SET revision = revision + 1, pruned_revision = revision + 1;
