-- Lists of one kind, newest first: the console shows keys in a tab for each kind, one of which may be empty beside many keys
-- of the other.
CREATE INDEX keys_by_kind ON keys (kind, id) WHERE revoked_at IS NULL;
CREATE INDEX keys_by_organization_kind ON keys (organization_id, kind, id) WHERE revoked_at IS NULL;
