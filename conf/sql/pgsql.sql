-- restante: accounts of a hosting provider, for PostgreSQL 12 and later. COLLATE "C": byte by byte.
CREATE TABLE domains (
	name TEXT COLLATE "C" PRIMARY KEY,
	enabled BOOLEAN NOT NULL DEFAULT TRUE
);

CREATE TABLE accounts (
	name TEXT COLLATE "C" PRIMARY KEY,            -- the whole address
	password TEXT,                                -- {SCHEME}hash; NULL: app passwords only
	enabled BOOLEAN NOT NULL DEFAULT TRUE,
	may_pop3 BOOLEAN NOT NULL DEFAULT TRUE,
	may_delete BOOLEAN NOT NULL DEFAULT TRUE,
	may_deliver BOOLEAN NOT NULL DEFAULT TRUE,
	quota_octets BIGINT NOT NULL DEFAULT 0,       -- 0: none
	quota_messages BIGINT NOT NULL DEFAULT 0,
	valid_until BIGINT,                           -- seconds since 1970; NULL: no end
	last_login BIGINT,                            -- likewise; written by restante
	last_peer TEXT
);

CREATE TABLE aliases (
	name TEXT COLLATE "C" NOT NULL,
	target TEXT NOT NULL,
	PRIMARY KEY (name, target)
);

CREATE TABLE app_passwords (
	id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	account TEXT COLLATE "C" NOT NULL REFERENCES accounts (name) ON DELETE CASCADE ON UPDATE CASCADE,
	label TEXT NOT NULL,                          -- "Ann's phone"
	password TEXT NOT NULL,
	enabled BOOLEAN NOT NULL DEFAULT TRUE,
	may_pop3 BOOLEAN NOT NULL DEFAULT TRUE,
	may_delete BOOLEAN NOT NULL DEFAULT TRUE,
	valid_until BIGINT,
	last_used BIGINT
);
CREATE INDEX ON app_passwords (account);

-- restante's own account: it reads, and writes four columns.
--   CREATE ROLE restante LOGIN PASSWORD '...';
--   GRANT SELECT ON domains, accounts, aliases, app_passwords TO restante;
--   GRANT UPDATE (password, last_login, last_peer) ON accounts TO restante;
--   GRANT UPDATE (last_used) ON app_passwords TO restante;
