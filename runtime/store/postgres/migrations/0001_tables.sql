-- Times are milliseconds since 1970 in UTC, 0 where there is none. Text that is
-- ordered or picks a row is compared byte by byte, whatever the database's
-- collation says.
CREATE TABLE gatewright_users (
	id       text    COLLATE "C" NOT NULL PRIMARY KEY,
	issuer   text    COLLATE "C" NOT NULL,
	subject  text    COLLATE "C" NOT NULL,
	name     text    NOT NULL,
	email    text    NOT NULL,
	-- what the person held at the last login
	scopes   text[]  NOT NULL DEFAULT '{}' CHECK (array_position(scopes, NULL) IS NULL),
	disabled boolean NOT NULL,
	created  bigint  NOT NULL,
	UNIQUE (issuer, subject)
);

-- hash is the SHA-256 of a key. bound tells that its owner made it: it may do no
-- more than they may. replaced_by is the id of the key that it was rotated to,
-- '' for none.
CREATE TABLE gatewright_keys (
	id          text    COLLATE "C" NOT NULL PRIMARY KEY,
	environment text    NOT NULL CHECK (environment IN ('live', 'test')),
	hash        bytea   NOT NULL CHECK (octet_length(hash) = 32),
	user_id     text    COLLATE "C" REFERENCES gatewright_users (id),
	client_id   text    COLLATE "C",
	client_name text    NOT NULL,
	label       text    NOT NULL,
	schemes     text[]  NOT NULL CHECK (array_position(schemes, NULL) IS NULL),
	scopes      text[]  NOT NULL CHECK (array_position(scopes, NULL) IS NULL),
	bound       boolean NOT NULL,
	created     bigint  NOT NULL,
	expires     bigint  NOT NULL,
	last_used   bigint  NOT NULL,
	revoked     bigint  NOT NULL,
	replaced_by text    COLLATE "C" NOT NULL,
	CHECK ((user_id IS NULL) <> (client_id IS NULL))
);

CREATE INDEX gatewright_keys_user    ON gatewright_keys (user_id, id)   WHERE user_id IS NOT NULL;
CREATE INDEX gatewright_keys_client  ON gatewright_keys (client_id, id) WHERE client_id IS NOT NULL;
CREATE INDEX gatewright_keys_expires ON gatewright_keys (expires)       WHERE expires > 0;
CREATE INDEX gatewright_keys_revoked ON gatewright_keys (revoked)       WHERE revoked > 0;

-- id is the SHA-256 of what the browser holds. scopes is an object of arrays of
-- strings. tokens are sealed, NULL where there are none.
CREATE TABLE gatewright_sessions (
	id               bytea  NOT NULL PRIMARY KEY CHECK (octet_length(id) = 32),
	user_id          text   COLLATE "C" NOT NULL REFERENCES gatewright_users (id),
	provider         text   NOT NULL,
	issuer           text   COLLATE "C" NOT NULL,
	subject          text   COLLATE "C" NOT NULL,
	provider_session text   COLLATE "C" NOT NULL,
	scopes           jsonb  NOT NULL CHECK (jsonb_typeof(scopes) = 'object'),
	auth_time        bigint NOT NULL,
	created          bigint NOT NULL,
	used             bigint NOT NULL,
	idle             bigint NOT NULL,
	expires          bigint NOT NULL,
	agent            text   NOT NULL,
	tokens           bytea  CHECK (octet_length(tokens) > 0)
);

-- Those of what a provider says are hashed: a tree takes no long text.
CREATE INDEX gatewright_sessions_user             ON gatewright_sessions (user_id, created, id);
CREATE INDEX gatewright_sessions_subject          ON gatewright_sessions USING hash (subject);
CREATE INDEX gatewright_sessions_provider_session ON gatewright_sessions USING hash (provider_session) WHERE provider_session <> '';
CREATE INDEX gatewright_sessions_end              ON gatewright_sessions (least(idle, expires));

-- key is a SHA-256, here and below; until is when the row may go. Sessions that
-- carry key and were made at up_to or earlier have ended.
CREATE TABLE gatewright_revocations (
	key   bytea  NOT NULL PRIMARY KEY CHECK (octet_length(key) = 32),
	up_to bigint NOT NULL,
	until bigint NOT NULL
);

CREATE INDEX gatewright_revocations_until ON gatewright_revocations (until);

-- again is true where key was marked more than once.
CREATE TABLE gatewright_marks (
	key   bytea   NOT NULL PRIMARY KEY CHECK (octet_length(key) = 32),
	until bigint  NOT NULL,
	again boolean NOT NULL
);

CREATE INDEX gatewright_marks_until ON gatewright_marks (until);

-- until is a time of the database server's clock.
CREATE TABLE gatewright_locks (
	key    bytea  NOT NULL PRIMARY KEY CHECK (octet_length(key) = 32),
	holder bytea  NOT NULL,
	until  bigint NOT NULL
);

CREATE INDEX gatewright_locks_until ON gatewright_locks (until);
