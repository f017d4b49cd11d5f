-- restante: accounts in one file, without a server:  sqlite3 /var/lib/restante/accounts.db <sqlite.sql
-- WAL: a login never waits for somebody who writes. The service user must own the file and its directory.
PRAGMA journal_mode = WAL;

CREATE TABLE domains (
	name TEXT NOT NULL PRIMARY KEY,
	enabled INTEGER NOT NULL DEFAULT 1
) WITHOUT ROWID;

CREATE TABLE accounts (
	name TEXT NOT NULL PRIMARY KEY,               -- the whole address
	password TEXT,                                -- {SCHEME}hash; NULL: app passwords only
	enabled INTEGER NOT NULL DEFAULT 1,
	may_pop3 INTEGER NOT NULL DEFAULT 1,
	may_delete INTEGER NOT NULL DEFAULT 1,
	may_deliver INTEGER NOT NULL DEFAULT 1,
	quota_octets INTEGER NOT NULL DEFAULT 0,      -- 0: none
	quota_messages INTEGER NOT NULL DEFAULT 0,
	valid_until INTEGER,                          -- seconds since 1970; NULL: no end
	last_login INTEGER,                           -- likewise; written by restante
	last_peer TEXT
) WITHOUT ROWID;

CREATE TABLE aliases (
	name TEXT NOT NULL,
	target TEXT NOT NULL,
	PRIMARY KEY (name, target)
) WITHOUT ROWID;

CREATE TABLE app_passwords (
	id INTEGER PRIMARY KEY,
	account TEXT NOT NULL REFERENCES accounts (name) ON DELETE CASCADE ON UPDATE CASCADE,
	label TEXT NOT NULL,                          -- "Ann's phone"
	password TEXT NOT NULL,
	enabled INTEGER NOT NULL DEFAULT 1,
	may_pop3 INTEGER NOT NULL DEFAULT 1,
	may_delete INTEGER NOT NULL DEFAULT 1,
	valid_until INTEGER,
	last_used INTEGER
);
CREATE INDEX app_passwords_account ON app_passwords (account);
