/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ledger - the facts about messages that a store of plain files must never forget: unique-ids,
 * sizes on the wire, marks, and deletions that were committed. It is data, not a cache. There is
 * one append-only text file for each mailbox; a line is a record, after its crc32:
 *
 *   M identity uidl octets stored first_retrieved_ms hidden_until_ms
 *                          a message
 *   F identity ms          first retrieved
 *   H identity ms          hidden until; 0: visible, not retrieved
 *   D op-id identity       deleted, with a group
 *   G op-id identity ms    hidden until, with a group; 0: as H
 *   C op-id n ms           the group of n D or G lines is committed
 *   E op-id                its files are gone
 *   T identity content inode size mtime_ns
 *                          a file of a message that shares its base name
 *
 * The crc is that of the rest of the line, in eight hex digits and a space. The file begins with
 * the line "restante-ledger 1". A later record of an identity replaces an earlier one, except for
 * the unique-id: the first one stays.
 *
 * A line that does not match its crc is passed over. At the end it is the torn tail of an append
 * that was never acknowledged; elsewhere it is damage, and the lines after it are still true. D and
 * G lines without their C never happened, and neither did a group of which some of the n lines are
 * missing, since the parts of an append may reach the disk in any order. A message that has D or G
 * lines and no M lost its M in this way: it goes with its group. A C without its E is finished by
 * the next exclusive opener; for everybody else its messages count as deleted.
 *
 * Identities and unique-ids hold no white space (writers ensure that). Octets "-" are not known.
 * Stored "-": the octets were taken from elsewhere, and never counted.
 *
 * Threads: a ledger has one owner at a time. The files of a mailbox are protected by the store's
 * session lock, and appends by an OFD lock on a descriptor of their own.
 */
#ifndef SDK_LEDGER_H
#define SDK_LEDGER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LEDGER_CONTENT 40 /* hex digits of a file's SHA-256 */

/* For a maildir: a file of a message whose base name other files have or had, too, and its looks
 * when it was read. */
struct ledger_file {
	struct ledger_file *next;
	char content[LEDGER_CONTENT + 1]; /* "-": it could not be read */
	uint64_t ino, size, mtime_ns;
};

struct ledger_message {
	const char *identity; /* in the ledger's memory */
	const char *uidl;     /* empty: the record of it is lost */
	uint32_t identity_n, uidl_n;
	uint64_t octets; /* LEDGER_UNKNOWN */
	uint64_t stored; /* LEDGER_UNKNOWN: octets was not counted */
	int64_t first_retrieved_ms, hidden_until_ms;
	bool deleted;       /* by a committed group */
	int64_t deleted_ms; /* when that was committed */
	bool unfinished;    /* its files may still be there */
	bool keep;          /* for the store: the message is of use; false at first */
	struct ledger_file *files;
};

#define LEDGER_UNKNOWN UINT64_MAX
/* the op-id of deletions that a rewritten ledger keeps; it may have many Cs */
#define LEDGER_NO_OP "00000000000000000000000000000000"
/* how long deleted imports are remembered: PM_DLVF_IMPORT */
#define LEDGER_REMEMBER_MS (30 * INT64_C(86400000))

struct ledger;

/* Makes an empty ledger in memory. NULL: no memory. */
struct ledger *ledger_new(void);
void ledger_free(struct ledger *l);

/* Reads n bytes of text; false: no memory. *ret_good: the end of the last sound line; a torn tail
 * comes after it. */
bool ledger_read(struct ledger *l, const char *text, size_t n, size_t *ret_good);
/* After ledger_read: true if the file belongs to another program or version; it must not be written
 * to. */
bool ledger_foreign(const char *text, size_t n, size_t good);
/* Damaged lines that were passed over, the torn tail not counted. */
size_t ledger_bad(const struct ledger *l);

struct ledger_message *ledger_find(struct ledger *l, const char *identity, size_t n);
size_t ledger_count(const struct ledger *l); /* messages known */
size_t ledger_lines(const struct ledger *l); /* records read */
size_t ledger_files(const struct ledger *l); /* of all messages */
/* True if some message has this unique-id. */
bool ledger_has_uidl(struct ledger *l, const char *uidl, size_t n);
/* Committed groups without E: gives the op-id of the one that follows `after`, as text; of the
 * first one for NULL; NULL at the end. */
const char *ledger_unfinished(const struct ledger *l, const char *after);
/* The number of groups with fewer D and G lines than their C counts. They did not happen. */
size_t ledger_torn(const struct ledger *l);
/* True if a group with this op-id (32 hex digits) was committed. */
bool ledger_has_group(const struct ledger *l, const char *op_hex);
/* Calls fn for every message. */
void ledger_each(struct ledger *l, void (*fn)(struct ledger_message *m, void *ctx), void *ctx);

/* True if it was deleted, or its hidden time was over, no more than LEDGER_REMEMBER_MS ago. */
bool ledger_remembers(const struct ledger_message *m, int64_t now_ms);

#endif
