/* SPDX-License-Identifier: Apache-2.0 */
/* The statements. Each finds its rows by a key of schema.sql; tests/live/mysql_plan.py counts the
 * rows they read. Times are sent and received as milliseconds since 1970; UNIX_TIMESTAMP() ends in
 * 2038. */
#include "db.h"

#define MS_OF(column) "TIMESTAMPDIFF(MICROSECOND, '1970-01-01', " column ") DIV 1000"
#define TIME_OF "'1970-01-01' + INTERVAL ? * 1000 MICROSECOND"
#define US_OF "TIMESTAMP'1970-01-01 00:00:00' + INTERVAL ? MICROSECOND"
/* the earlier of the server's clock and ours: one that is ahead deletes nothing before its time */
#define SURE_NOW "LEAST(UTC_TIMESTAMP(6), " US_OF ")"
/* a lease whose holder's server is gone, or has not renewed its row in time */
#define LEASE_FREE \
	"(owner IS NULL OR NOT EXISTS (SELECT 1 FROM mail_server s WHERE s.id = mail_lease.server" \
	" AND s.until >= UTC_TIMESTAMP(6)))"

/* Which connection and server a statement came to. Of a table of ours, since a proxy may answer by
 * itself; of a row that is not there, so that it locks nothing and a host that is frozen in between
 * keeps nobody waiting. */
#define END_OF \
	"SELECT CONNECTION_ID(), CONCAT(@@server_id, ' ', @@hostname, ' ', @@port)," \
	" CONCAT(@@read_only) NOT IN ('0', 'OFF') OR COUNT(*) > 0 FROM mail_version WHERE " \
	"version = 0"

const char *const db_texts[ST_COUNT] = {
	[ST_VERSION] = "SELECT MAX(version) FROM mail_version",
	[ST_END] = END_OF,
	[ST_END_LOCKED] = END_OF " FOR UPDATE",
	/* the same on all nodes and replicas, different for two databases */
	[ST_PLACE] = "SELECT TIMESTAMPDIFF(MICROSECOND, '1970-01-01', made), DATABASE() FROM "
		     "mail_version"
		     " ORDER BY version LIMIT 1",
	[ST_SERVER_SEEN] = "INSERT INTO mail_server (id, name, until)"
			   " VALUES (?, ?, UTC_TIMESTAMP(6) + INTERVAL ? * 1000 MICROSECOND)"
			   " ON DUPLICATE KEY UPDATE until = VALUES(until)",
	[ST_SERVER_GONE] = "DELETE FROM mail_server WHERE id = ?",
	[ST_SERVERS_OLD] =
		"DELETE FROM mail_server WHERE until < UTC_TIMESTAMP(6) - INTERVAL 1 DAY",

	[ST_BOX_FIND] = "SELECT id, messages, octets, domain FROM mail_box WHERE user_key = ?",
	[ST_BOX_OPEN] = "SELECT b.id, b.messages, b.octets, b.domain, l.fence FROM mail_box b"
			" LEFT JOIN mail_lease l ON l.mailbox = b.id WHERE b.user_key = ?",
	[ST_BOX_MAKE] = "INSERT INTO mail_box (user_key, domain) VALUES (?, ?)",
	[ST_BOX_LOCK] = "SELECT messages, octets, domain FROM mail_box WHERE id = ? FOR UPDATE",
	[ST_BOX_ADD] = "UPDATE mail_box SET messages = messages + 1, octets = octets + ?, "
		       "last_delivery = UTC_TIMESTAMP(6)"
		       " WHERE id = ? AND (? = 0 OR messages < ?) AND (? = 0 OR octets + ? <= ?)",
	[ST_BOX_SUB] = "UPDATE mail_box SET messages = messages - ?, octets = octets - ?"
		       " WHERE id = ? AND messages >= ? AND octets >= ?",
	[ST_BOX_HIDDEN] =
		"UPDATE mail_box SET hidden = GREATEST(CAST(hidden AS SIGNED) + ?, 0),"
		" hidden_octets = GREATEST(CAST(hidden_octets AS SIGNED) + ?, 0) WHERE id = ?",
	[ST_BOX_COUNT] =
		"SELECT COUNT(*), CAST(COALESCE(SUM(octets), 0) AS UNSIGNED),"
		" CAST(COALESCE(SUM(hidden_until IS NOT NULL), 0) AS UNSIGNED),"
		" CAST(COALESCE(SUM(IF(hidden_until IS NOT NULL, octets, 0)), 0) AS UNSIGNED)"
		" FROM mail_message WHERE mailbox = ?",
	[ST_BOX_SET] = "UPDATE mail_box SET messages = ?, octets = ?, hidden = ?, hidden_octets = "
		       "? WHERE id = ?",
	[ST_BOX_DELETE] = "DELETE FROM mail_box WHERE id = ?",
	[ST_BOX_LIST] = "SELECT id, user_key FROM mail_box WHERE id > ? ORDER BY id LIMIT ?",
	[ST_BOX_STAT] = "SELECT messages, octets, hidden, hidden_octets, " MS_OF(
		"last_delivery") " FROM mail_box WHERE user_key = ?",

	[ST_LEASE_MAKE] = "INSERT IGNORE INTO mail_lease (mailbox) VALUES (?)",
	[ST_LEASE_STATE] = "SELECT fence, COALESCE(owner = ?, 0), " LEASE_FREE
			   " FROM mail_lease WHERE mailbox = ?",
	[ST_LEASE_TAKE] = "UPDATE mail_lease SET owner = ?, server = ?, fence = fence + 1"
			  " WHERE mailbox = ? AND fence = ? AND " LEASE_FREE,
	[ST_LEASE_GIVE] = "UPDATE mail_lease SET owner = NULL, server = NULL, fence = fence + 1"
			  " WHERE mailbox = ? AND (owner = ? OR (fence = ? AND " LEASE_FREE "))",
	[ST_LEASE_COMMIT] = "UPDATE mail_lease SET fence = fence + 1, op = ? WHERE mailbox = ? AND "
			    "owner = ? AND fence = ?",
	[ST_LEASE_FENCE] = "UPDATE mail_lease SET fence = fence + 1 WHERE mailbox = ? AND owner = "
			   "? AND fence = ?",
	[ST_LEASE_LOOK] = "SELECT fence, COALESCE(owner = ?, 0), COALESCE(op = ?, 0) FROM "
			  "mail_lease WHERE mailbox = ?",
	[ST_LEASE_DELETE] = "DELETE FROM mail_lease WHERE mailbox = ? AND owner = ? AND fence = ?",

	[ST_DOMAIN_ADD] =
		"INSERT INTO mail_domain (domain, slot, messages, octets) VALUES (?, ?, ?, ?)"
		" ON DUPLICATE KEY UPDATE messages = messages + VALUES(messages), octets = octets "
		"+ VALUES(octets)",
	[ST_DOMAIN_SUM] = "SELECT CAST(GREATEST(COALESCE(SUM(messages), 0), 0) AS UNSIGNED),"
			  " CAST(GREATEST(COALESCE(SUM(octets), 0), 0) AS UNSIGNED) FROM "
			  "mail_domain WHERE domain = ?",
	[ST_DOMAIN_LOCK] =
		"SELECT messages FROM mail_domain WHERE domain = ? AND slot = ? FOR UPDATE",
	[ST_DOMAIN_BOXES] = "SELECT CAST(COALESCE(SUM(messages), 0) AS UNSIGNED), "
			    "CAST(COALESCE(SUM(octets), 0) AS UNSIGNED)"
			    " FROM mail_box WHERE domain = ? AND id & 15 = ?",
	[ST_DOMAIN_SET] =
		"UPDATE mail_domain SET messages = ?, octets = ? WHERE domain = ? AND slot = ?",
	[ST_DOMAIN_RECOUNT] =
		"INSERT INTO mail_domain (domain, slot, messages, octets)"
		" SELECT domain, id & 15, SUM(messages), SUM(octets) FROM mail_box WHERE domain <> "
		"''"
		" GROUP BY domain, id & 15"
		" ON DUPLICATE KEY UPDATE messages = VALUES(messages), octets = VALUES(octets)",

	[ST_SNAPSHOT] = "SELECT pos, octets FROM mail_message WHERE mailbox = ? AND pos > ?"
			" AND (hidden_until IS NULL OR (? AND hidden_until > UTC_TIMESTAMP(6))) "
			"ORDER BY pos LIMIT ?",
	[ST_RECORDS] = "SELECT pos, uidl, " MS_OF("received") ", " MS_OF(
		"first_retrieved") ", flags,"
				   " hidden_until IS NOT NULL, meta, octets FROM mail_message "
				   "WHERE mailbox = ? AND pos > ?"
				   " AND (hidden_until IS NULL OR (? AND hidden_until > "
				   "UTC_TIMESTAMP(6))) ORDER BY pos LIMIT ?",
	[ST_INFO] = "SELECT pos, uidl, " MS_OF("received") ", " MS_OF(
		"first_retrieved") ", flags,"
				   " hidden_until IS NOT NULL, meta FROM mail_message WHERE "
				   "mailbox = ? AND pos BETWEEN ? AND ? ORDER BY pos",
	/* head and first piece at once when they fit into one buffer of 64 KiB */
	[ST_READ_FIRST] =
		"SELECT m.body, m.head, IF(c.size + COALESCE(LENGTH(m.head), 0) <= 65536, c.data, "
		"NULL)"
		" FROM mail_message m LEFT JOIN mail_chunk c ON c.body = m.body AND c.seq = 0"
		" WHERE m.mailbox = ? AND m.pos = ?",
	[ST_READ_NEXT] = "SELECT data FROM mail_chunk WHERE body = ? AND seq = ?",
	[ST_MESSAGE_THERE] = "SELECT 1 FROM mail_message WHERE mailbox = ? AND pos = ?",
	[ST_UIDL_THERE] = "SELECT pos FROM mail_message WHERE mailbox = ? AND uidl = ?",
	[ST_IMPORT_THERE] =
		"SELECT hidden_until IS NULL OR hidden_until > UTC_TIMESTAMP(6) FROM mail_message"
		" WHERE mailbox = ? AND uidl = ?",
	[ST_IMPORT_KNOWN] = "SELECT 1 FROM mail_import WHERE mailbox = ? AND uidl = ?",
	[ST_IMPORT_ADD] =
		"INSERT INTO mail_import (mailbox, uidl, made) VALUES (?, ?, UTC_TIMESTAMP(6))",
	[ST_IMPORT_AGAIN] =
		"INSERT INTO mail_import (mailbox, uidl, made) VALUES (?, ?, UTC_TIMESTAMP(6))"
		" ON DUPLICATE KEY UPDATE made = VALUES(made)",
	[ST_IMPORT_TAKE_BACK] = "DELETE FROM mail_import WHERE mailbox = ? AND uidl = ?",
	[ST_IMPORT_OLD] = "SELECT mailbox FROM mail_import WHERE made < " SURE_NOW
			  " - INTERVAL ? DAY LIMIT 1",
	[ST_IMPORT_FORGET] = "DELETE FROM mail_import WHERE made < " SURE_NOW
			     " - INTERVAL ? DAY ORDER BY made LIMIT ?",
	[ST_MESSAGE_ADD] = "INSERT INTO mail_message (mailbox, pos, body, octets, received, "
			   "first_retrieved, flags, uidl, meta,"
			   " head) VALUES (?, ?, ?, ?, " TIME_OF ", " TIME_OF ", ?, ?, ?, ?)",
	[ST_MESSAGE_TAKE_BACK] = "DELETE FROM mail_message WHERE mailbox = ? AND pos = ?",
	[ST_BOX_BURY] =
		"INSERT INTO mail_garbage (body, mailbox, pos) SELECT body, mailbox, pos "
		"FROM mail_message"
		" WHERE mailbox = ? ON DUPLICATE KEY UPDATE mail_garbage.pos = mail_garbage.pos",
	[ST_BOX_EMPTY] = "DELETE FROM mail_message WHERE mailbox = ?",
	/* hidden_until, mailbox, pos is the order of the key */
	[ST_EXPIRED] =
		"SELECT mailbox, pos, octets, TIMESTAMPDIFF(MICROSECOND, '1970-01-01', "
		"hidden_until)"
		" FROM mail_message WHERE hidden_until < " SURE_NOW " AND (hidden_until > " US_OF
		" OR (hidden_until = " US_OF " AND mailbox > ?))"
		" ORDER BY hidden_until, mailbox, pos LIMIT ?",

	[ST_INCOMING_ADD] =
		"INSERT INTO mail_incoming (body, touched) VALUES (?, UTC_TIMESTAMP(6))",
	[ST_INCOMING_TOUCH] = "UPDATE mail_incoming SET touched = UTC_TIMESTAMP(6) WHERE body = ?",
	[ST_INCOMING_LIVE] = "DELETE FROM mail_incoming WHERE body = ?",
	[ST_INCOMING_OLD] = "SELECT body FROM mail_incoming WHERE touched < UTC_TIMESTAMP(6) - "
			    "INTERVAL ? SECOND"
			    " ORDER BY touched LIMIT ?",
	[ST_INCOMING_REAP] = "DELETE FROM mail_incoming WHERE body = ? AND touched < "
			     "UTC_TIMESTAMP(6) - INTERVAL ? SECOND",
	[ST_CHUNK_ADD] = "INSERT INTO mail_chunk (body, seq, size, data) VALUES (?, ?, ?, ?)",
	[ST_CHUNK_AGAIN] = "INSERT INTO mail_chunk (body, seq, size, data) VALUES (?, ?, ?, ?)"
			   " ON DUPLICATE KEY UPDATE size = VALUES(size), data = VALUES(data)",
	[ST_CHUNK_COUNT] = "SELECT COUNT(*), COALESCE(SUM(size), 0) FROM mail_chunk WHERE body = ?",
	/* a backup of some tables may have brought the row back */
	[ST_GARBAGE_ADD] = "INSERT INTO mail_garbage (body, mailbox, pos) VALUES (?, 0, 0)"
			   " ON DUPLICATE KEY UPDATE pos = 0",
	[ST_GARBAGE_LIST] = "SELECT g.body, g.mailbox, g.pos, EXISTS (SELECT 1 FROM mail_message m "
			    "WHERE m.body = g.body)"
			    " FROM mail_garbage g ORDER BY g.body, g.mailbox, g.pos LIMIT ?",
	[ST_GARBAGE_DELETE] = "DELETE FROM mail_garbage WHERE body = ? AND mailbox = ? AND pos = ?",
};
