-- id is the SHA-256 of what the browser holds. scopes is a JSON object of
-- arrays of strings. tokens are sealed, NULL where there are none; since they
-- are some kilobytes, this table has rowids: its rows are no good as the key of
-- a tree.
CREATE TABLE gatewright_sessions (
	id               BLOB    NOT NULL PRIMARY KEY CHECK (length(id) = 32),
	user_id          TEXT    NOT NULL REFERENCES gatewright_users (id),
	provider         TEXT    NOT NULL,
	issuer           TEXT    NOT NULL,
	subject          TEXT    NOT NULL,
	provider_session TEXT    NOT NULL,
	scopes           TEXT    NOT NULL CHECK (json_type(scopes) = 'object'),
	auth_time        INTEGER NOT NULL,
	created          INTEGER NOT NULL,
	used             INTEGER NOT NULL,
	idle             INTEGER NOT NULL,
	expires          INTEGER NOT NULL,
	agent            TEXT    NOT NULL,
	tokens           BLOB    CHECK (length(tokens) > 0)
) STRICT;

CREATE INDEX gatewright_sessions_user             ON gatewright_sessions (user_id, created, id);
CREATE INDEX gatewright_sessions_subject          ON gatewright_sessions (issuer, subject);
CREATE INDEX gatewright_sessions_provider_session ON gatewright_sessions (issuer, provider_session);
CREATE INDEX gatewright_sessions_end              ON gatewright_sessions (min(idle, expires));

-- key is a SHA-256, here and below; until is when the row may go. Sessions that
-- carry key and were made at up_to or earlier have ended.
CREATE TABLE gatewright_revocations (
	key   BLOB    NOT NULL PRIMARY KEY CHECK (length(key) = 32),
	up_to INTEGER NOT NULL,
	until INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX gatewright_revocations_until ON gatewright_revocations (until);

-- again is 1 where key was marked more than once.
CREATE TABLE gatewright_marks (
	key   BLOB    NOT NULL PRIMARY KEY CHECK (length(key) = 32),
	until INTEGER NOT NULL,
	again INTEGER NOT NULL CHECK (again IN (0, 1))
) STRICT, WITHOUT ROWID;

CREATE INDEX gatewright_marks_until ON gatewright_marks (until);

CREATE TABLE gatewright_locks (
	key    BLOB    NOT NULL PRIMARY KEY CHECK (length(key) = 32),
	holder TEXT    NOT NULL,
	until  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX gatewright_locks_until ON gatewright_locks (until);
