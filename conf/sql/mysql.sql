-- restante: accounts of a hosting provider, for MariaDB 10.2 and later.
--
-- Names are compared byte by byte, trailing blanks included (NOPAD): 'ann ' and 'Ánn' are not 'ann'. MySQL 8
-- calls that collation utf8mb4_0900_bin. restante lowers ASCII letters before it asks.
CREATE TABLE domains (
	name VARCHAR(255) NOT NULL PRIMARY KEY,
	enabled BOOLEAN NOT NULL DEFAULT TRUE
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_nopad_bin;

CREATE TABLE accounts (
	name VARCHAR(320) NOT NULL PRIMARY KEY,       -- the whole address
	password VARCHAR(255),                        -- {SCHEME}hash; NULL: app passwords only
	enabled BOOLEAN NOT NULL DEFAULT TRUE,
	may_pop3 BOOLEAN NOT NULL DEFAULT TRUE,
	may_delete BOOLEAN NOT NULL DEFAULT TRUE,
	may_deliver BOOLEAN NOT NULL DEFAULT TRUE,
	quota_octets BIGINT NOT NULL DEFAULT 0,       -- 0: none
	quota_messages BIGINT NOT NULL DEFAULT 0,
	valid_until BIGINT,                           -- seconds since 1970; NULL: no end
	last_login BIGINT,                            -- likewise; written by restante
	last_peer VARCHAR(45)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_nopad_bin;

CREATE TABLE aliases (
	name VARCHAR(320) NOT NULL,
	target VARCHAR(320) NOT NULL,
	PRIMARY KEY (name, target)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_nopad_bin;

CREATE TABLE app_passwords (
	id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
	account VARCHAR(320) NOT NULL,
	label VARCHAR(255) NOT NULL,                  -- "Ann's phone"
	password VARCHAR(255) NOT NULL,
	enabled BOOLEAN NOT NULL DEFAULT TRUE,
	may_pop3 BOOLEAN NOT NULL DEFAULT TRUE,
	may_delete BOOLEAN NOT NULL DEFAULT TRUE,
	valid_until BIGINT,
	last_used BIGINT,
	KEY (account),
	FOREIGN KEY (account) REFERENCES accounts (name) ON DELETE CASCADE ON UPDATE CASCADE
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_nopad_bin;

-- restante's own account: it reads, and writes four columns.
--   CREATE USER restante@'192.0.2.%' IDENTIFIED BY '...' REQUIRE SSL;
--   GRANT SELECT ON mail.* TO restante@'192.0.2.%';
--   GRANT UPDATE (password, last_login, last_peer) ON mail.accounts TO restante@'192.0.2.%';
--   GRANT UPDATE (last_used) ON mail.app_passwords TO restante@'192.0.2.%';
