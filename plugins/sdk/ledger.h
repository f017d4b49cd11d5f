/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ledger - what a store of plain files knows of its messages and must never forget: unique-ids,
 * sizes on the wire, marks, and the deletions that were committed. Data, not a cache. One
 * append-only text file per mailbox; a line is a record:
 *
 *   crc32 M identity uidl octets stored first_retrieved_ms hidden_until_ms      a message
 *   crc32 F identity ms                                                         first retrieved
 *   crc32 H identity ms                                                         hidden until; 0:
 *   visible, not retrieved
 *   crc32 D op-id identity                                                      to be deleted with
 *   a group
 *   crc32 G op-id identity ms                                                   hidden until, with
 *   a group; 0: as H
 *   crc32 C op-id n ms                                                          the group of n D or
 *   G lines is committed
 *   crc32 E op-id                                                               its files are gone
 *   crc32 T identity content inode size mtime_ns                                a file of a message
 *   that shares its base name
 *
 * The crc is of the rest of the line, in eight hex digits. The file begins with the line
 * "restante-ledger 1". A later record of an identity replaces an earlier one, but for the
 * unique-id: the first one stays. A line that does not match its crc is passed over: at the end it
 * is the torn tail of an append that was never acknowledged, elsewhere it is damage, and what is
 * behind it is still true. D and G lines without their C never happened, and neither did a group of
 * which not all n lines are there: what one append wrote may reach the disk in any order. A message
 * that has D or G lines and no M is one whose M was lost so: it goes with its group. A C without
 * its E is finished by the next exclusive opener, and counts as deleted for everybody else.
 *
 * Identities and unique-ids hold no white space (writers see to it). Octets "-" are not known.
 * Stored "-": the octets are what somebody says, and were never counted.
 *
 * Threads: one ledger one owner; files of one mailbox are locked by the store's session lock,
 * appends by an OFD lock on a descriptor of their own.
 */
#ifndef SDK_LEDGER_H
#define SDK_LEDGER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LEDGER_CONTENT 40 /* hex digits of a file's SHA-256 */

/* A file of a message whose base name other files have or had, too, and how it looked when it
 * was read: a maildir's. */
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
	bool deleted;       /* by a committed group, */
	int64_t deleted_ms; /* which said when, */
	bool unfinished;    /* and whose files may still be there */
	bool keep;          /* the store's own: it is of use to somebody; false at first */
	struct ledger_file *files;
};

#define LEDGER_UNKNOWN UINT64_MAX
/* of what a rewritten ledger keeps of deletions; it may have many Cs */
#define LEDGER_NO_OP "00000000000000000000000000000000"
/* imports that were deleted: PM_DLVF_IMPORT */
#define LEDGER_REMEMBER_MS (30 * INT64_C(86400000))

struct ledger;

/* Empty, in memory. NULL: no memory. */
struct ledger *ledger_new(void);
void ledger_free(struct ledger *l);

/* Reads n bytes of text; false: no memory. *ret_good: the end of the last sound line (a torn
 * tail is behind it). */
bool ledger_read(struct ledger *l, const char *text, size_t n, size_t *ret_good);
/* After ledger_read: another program's file, or of another version; it must not be written to. */
bool ledger_foreign(const char *text, size_t n, size_t good);
/* Damaged lines that were passed over, the torn tail not counted. */
size_t ledger_bad(const struct ledger *l);

struct ledger_message *ledger_find(struct ledger *l, const char *identity, size_t n);
size_t ledger_count(const struct ledger *l); /* messages known */
size_t ledger_lines(const struct ledger *l); /* records read */
size_t ledger_files(const struct ledger *l); /* of all messages */
/* Is this unique-id known, of whatever message? */
bool ledger_has_uidl(struct ledger *l, const char *uidl, size_t n);
/* Committed groups without E: the op-id of the one after that one, as text; of the first one
 * after NULL; NULL at the end. */
const char *ledger_unfinished(const struct ledger *l, const char *after);
/* Groups that are not whole: fewer D and G lines than their C says. They did not happen. */
size_t ledger_torn(const struct ledger *l);
/* Was a group with this op-id (32 hex digits) committed? */
bool ledger_has_group(const struct ledger *l, const char *op_hex);
/* Calls fn for every message. */
void ledger_each(struct ledger *l, void (*fn)(struct ledger_message *m, void *ctx), void *ctx);

/* Deleted, or hidden and over, for no more than LEDGER_REMEMBER_MS? */
bool ledger_remembers(const struct ledger_message *m, int64_t now_ms);

/* ---- writing: lines are collected, then appended in one write -------------------------------- */

struct ledger_out {
	char *text;
	size_t n, cap;
	size_t lines; /* the header is none */
	bool failed;  /* no memory */
};

void ledger_put_header(struct ledger_out *o);
void ledger_put_message(struct ledger_out *o, const char *identity, size_t identity_n,
			const char *uidl, size_t uidl_n, uint64_t octets, uint64_t stored,
			int64_t first_ms, int64_t hidden_ms);
/* F, H */
void ledger_put_mark(struct ledger_out *o, char kind, const char *identity, size_t n, int64_t ms);
void ledger_put_delete(struct ledger_out *o, const char *op_hex, const char *identity, size_t n);
void ledger_put_hide(struct ledger_out *o, const char *op_hex, const char *identity, size_t n,
		     int64_t ms);
void ledger_put_commit(struct ledger_out *o, const char *op_hex, uint64_t n, int64_t ms);
/* Such a one, for a ledger that is rewritten: three records at most. LEDGER_NO_OP's E is the
 * caller's. */
void ledger_put_remembered(struct ledger_out *o, const struct ledger_message *m);
void ledger_put_done(struct ledger_out *o, const char *op_hex);
void ledger_put_file(struct ledger_out *o, const char *identity, size_t n,
		     const struct ledger_file *f);
void ledger_out_free(struct ledger_out *o);

/* 16 bytes as 32 hex digits and a NUL. */
void ledger_op_hex(const uint8_t op_id[16], char hex[33]);

#endif
