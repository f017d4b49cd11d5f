-- The tables of the storage module mysql, as `restantectl mysql-schema SECTION` makes them; this file is for
-- reading, and for those who prefer to run it by hand. One row of mail_version for each step; a step that was
-- interrupted can be run again.
-- All times are UTC. All tables are InnoDB: a session's deletion is one transaction.

-- step 1

CREATE TABLE IF NOT EXISTS mail_version (
	version INT UNSIGNED NOT NULL PRIMARY KEY,
	made DATETIME(6) NOT NULL
) ENGINE=InnoDB;

-- One row per running restanted: its leases hold as long as `until` is in the future.
CREATE TABLE IF NOT EXISTS mail_server (
	id BINARY(16) NOT NULL PRIMARY KEY,
	name VARBINARY(255) NOT NULL,
	until DATETIME(6) NOT NULL,
	KEY until (until)
) ENGINE=InnoDB;

-- Mailboxes and what is in them; messages and octets are of what a session sees.
CREATE TABLE IF NOT EXISTS mail_box (
	id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
	user_key VARBINARY(1024) NOT NULL,
	domain VARBINARY(320) NOT NULL,
	messages BIGINT UNSIGNED NOT NULL DEFAULT 0,
	octets BIGINT UNSIGNED NOT NULL DEFAULT 0,
	hidden BIGINT UNSIGNED NOT NULL DEFAULT 0,
	hidden_octets BIGINT UNSIGNED NOT NULL DEFAULT 0,
	last_delivery DATETIME(6) NULL,
	UNIQUE KEY user_key (user_key),
	KEY domain (domain)
) ENGINE=InnoDB ROW_FORMAT=DYNAMIC;

-- Who has the maildrop: free when owner is NULL or the server's row is gone or past. Each change of hands and
-- each commit raises fence; op is the last commit's. Mailbox 0 is the background work's.
CREATE TABLE IF NOT EXISTS mail_lease (
	mailbox BIGINT UNSIGNED NOT NULL PRIMARY KEY,
	owner BINARY(16) NULL,
	server BINARY(16) NULL,
	fence BIGINT UNSIGNED NOT NULL DEFAULT 0,
	op BINARY(16) NULL
) ENGINE=InnoDB;

-- Messages, in the order of arrival: pos is the time in milliseconds * 2^22 and a number that makes it unique.
-- octets is the size on the wire, which is the size stored. flags: 1 = UTF-8 in the header.
CREATE TABLE IF NOT EXISTS mail_message (
	mailbox BIGINT UNSIGNED NOT NULL,
	pos BIGINT UNSIGNED NOT NULL,
	body BIGINT UNSIGNED NOT NULL,
	octets BIGINT UNSIGNED NOT NULL,
	received DATETIME(6) NOT NULL,
	first_retrieved DATETIME(6) NULL,
	hidden_until DATETIME(6) NULL,
	flags INT UNSIGNED NOT NULL DEFAULT 0,
	uidl VARBINARY(70) NOT NULL,
	meta VARBINARY(64) NOT NULL DEFAULT '',
	head MEDIUMBLOB NULL,
	PRIMARY KEY (mailbox, pos),
	UNIQUE KEY uidl (mailbox, uidl),
	KEY body (body),
	KEY hidden_until (hidden_until)
) ENGINE=InnoDB ROW_FORMAT=DYNAMIC;

-- Bodies in pieces of 64 KiB, as on the wire: lines end in CRLF. Never changed.
CREATE TABLE IF NOT EXISTS mail_chunk (
	body BIGINT UNSIGNED NOT NULL,
	seq INT UNSIGNED NOT NULL,
	size INT UNSIGNED NOT NULL,
	data MEDIUMBLOB NOT NULL,
	PRIMARY KEY (body, seq)
) ENGINE=InnoDB ROW_FORMAT=DYNAMIC;

-- Bodies that are being delivered; untouched for an hour: abandoned.
CREATE TABLE IF NOT EXISTS mail_incoming (
	body BIGINT UNSIGNED NOT NULL PRIMARY KEY,
	touched DATETIME(6) NOT NULL,
	KEY touched (touched)
) ENGINE=InnoDB;

-- Messages that were deleted; a body that no message names any more is removed in the background.
CREATE TABLE IF NOT EXISTS mail_garbage (
	body BIGINT UNSIGNED NOT NULL,
	mailbox BIGINT UNSIGNED NOT NULL,
	pos BIGINT UNSIGNED NOT NULL,
	PRIMARY KEY (body, mailbox, pos)
) ENGINE=InnoDB;

INSERT IGNORE INTO mail_lease (mailbox) VALUES (0);
INSERT INTO mail_version VALUES (1, UTC_TIMESTAMP(6));

-- step 2

-- What a domain's mailboxes hold together, in 16 rows so that deliveries do not queue for one.
CREATE TABLE IF NOT EXISTS mail_domain (
	domain VARBINARY(320) NOT NULL,
	slot TINYINT UNSIGNED NOT NULL,
	messages BIGINT NOT NULL DEFAULT 0,
	octets BIGINT NOT NULL DEFAULT 0,
	PRIMARY KEY (domain, slot)
) ENGINE=InnoDB;

INSERT INTO mail_domain (domain, slot, messages, octets)
	SELECT domain, id & 15, SUM(messages), SUM(octets) FROM mail_box WHERE domain <> '' GROUP BY domain, id & 15
	ON DUPLICATE KEY UPDATE messages = VALUES(messages), octets = VALUES(octets);
INSERT INTO mail_version VALUES (2, UTC_TIMESTAMP(6));

-- step 3

-- Unique-ids that were imported, deleted or not, so that whoever repeats an import learns that it was made; forgotten
-- after 30 days.
CREATE TABLE IF NOT EXISTS mail_import (
	mailbox BIGINT UNSIGNED NOT NULL,
	uidl VARBINARY(70) NOT NULL,
	made DATETIME(6) NOT NULL,
	PRIMARY KEY (mailbox, uidl),
	KEY made (made)
) ENGINE=InnoDB;

INSERT INTO mail_version VALUES (3, UTC_TIMESTAMP(6));

-- step 4

-- Names of domains are kept in lower case, A to Z only, as the questions about them are asked.
UPDATE mail_box SET domain =
	REPLACE(REPLACE(REPLACE(REPLACE(REPLACE(REPLACE(REPLACE(REPLACE(REPLACE(REPLACE(REPLACE(REPLACE(REPLACE(
	REPLACE(REPLACE(REPLACE(REPLACE(REPLACE(REPLACE(REPLACE(REPLACE(REPLACE(REPLACE(REPLACE(REPLACE(REPLACE(domain,
	'A', 'a'), 'B', 'b'), 'C', 'c'), 'D', 'd'), 'E', 'e'), 'F', 'f'), 'G', 'g'), 'H', 'h'), 'I', 'i'),
	'J', 'j'), 'K', 'k'), 'L', 'l'), 'M', 'm'), 'N', 'n'), 'O', 'o'), 'P', 'p'), 'Q', 'q'), 'R', 'r'),
	'S', 's'), 'T', 't'), 'U', 'u'), 'V', 'v'), 'W', 'w'), 'X', 'x'), 'Y', 'y'), 'Z', 'z');
INSERT INTO mail_domain (domain, slot, messages, octets)
	SELECT domain, id & 15, SUM(messages), SUM(octets) FROM mail_box WHERE domain <> '' GROUP BY domain, id & 15
	ON DUPLICATE KEY UPDATE messages = VALUES(messages), octets = VALUES(octets);
DELETE FROM mail_domain WHERE domain NOT IN (SELECT domain FROM mail_box);
INSERT INTO mail_version VALUES (4, UTC_TIMESTAMP(6));
