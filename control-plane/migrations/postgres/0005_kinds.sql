-- Lists of one kind, newest first: the console shows keys in a tab for each kind, one of which may be empty beside many keys
-- of the other.
CREATE INDEX keys_by_kind ON keys (kind, id) WHERE revoked_at IS NULL;
CREATE INDEX keys_by_organization_kind ON keys (organization_id, kind, id) WHERE revoked_at IS NULL;
-- Which organizations have keys of which kind: one that has none of a kind would otherwise seem to have as many as any.
CREATE STATISTICS keys_kinds (mcv) ON organization_id, kind FROM keys;
