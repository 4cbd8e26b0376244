-- What a person held at the last login, a JSON array of strings.
ALTER TABLE gatewright_users ADD COLUMN scopes TEXT NOT NULL DEFAULT '[]' CHECK (json_type(scopes) = 'array');

-- bound is 1 for a key that its owner made: it may do no more than they may.
-- replaced_by is the id of the key that it was rotated to, '' for none.
ALTER TABLE gatewright_keys ADD COLUMN bound       INTEGER NOT NULL DEFAULT 0 CHECK (bound IN (0, 1));
ALTER TABLE gatewright_keys ADD COLUMN replaced_by TEXT    NOT NULL DEFAULT '';

CREATE INDEX gatewright_keys_expires ON gatewright_keys (expires) WHERE expires > 0;
CREATE INDEX gatewright_keys_revoked ON gatewright_keys (revoked) WHERE revoked > 0;
