-- Times are milliseconds since 1970 in UTC, 0 where there is none. Text is
-- compared byte by byte.
CREATE TABLE gatewright_users (
	id       TEXT    NOT NULL PRIMARY KEY,
	issuer   TEXT    NOT NULL,
	subject  TEXT    NOT NULL,
	name     TEXT    NOT NULL,
	email    TEXT    NOT NULL,
	disabled INTEGER NOT NULL,
	created  INTEGER NOT NULL,
	UNIQUE (issuer, subject)
) STRICT, WITHOUT ROWID;

-- hash is the SHA-256 of a key. schemes and scopes are JSON arrays of strings.
CREATE TABLE gatewright_keys (
	id          TEXT    NOT NULL PRIMARY KEY,
	environment TEXT    NOT NULL CHECK (environment IN ('live', 'test')),
	hash        BLOB    NOT NULL CHECK (length(hash) = 32),
	user_id     TEXT    REFERENCES gatewright_users (id),
	client_id   TEXT,
	client_name TEXT    NOT NULL,
	label       TEXT    NOT NULL,
	schemes     TEXT    NOT NULL CHECK (json_type(schemes) = 'array'),
	scopes      TEXT    NOT NULL CHECK (json_type(scopes) = 'array'),
	created     INTEGER NOT NULL,
	expires     INTEGER NOT NULL,
	last_used   INTEGER NOT NULL,
	revoked     INTEGER NOT NULL,
	CHECK ((user_id IS NULL) <> (client_id IS NULL))
) STRICT, WITHOUT ROWID;

CREATE INDEX gatewright_keys_user   ON gatewright_keys (user_id, id)   WHERE user_id IS NOT NULL;
CREATE INDEX gatewright_keys_client ON gatewright_keys (client_id, id) WHERE client_id IS NOT NULL;
