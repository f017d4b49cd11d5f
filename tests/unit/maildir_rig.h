/* SPDX-License-Identifier: Apache-2.0 */
/* maildir_rig - ann's maildir below the rig's directory, made anew for each test, and sessions
 * on it. */
#ifndef TESTS_UNIT_MAILDIR_RIG_H
#define TESTS_UNIT_MAILDIR_RIG_H

#include "module_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "ledger.h"
#include "ledger_write.h"

#define WANT_ALL (PM_WANT_OCTETS | PM_WANT_UIDL | PM_WANT_DATES | PM_WANT_META)

int mail_begin(void **state);
int mail_end(void **state);
int mail_fresh(void **state);
int mail_tidy(void **state);
#define MAIL(f) cmocka_unit_test_setup_teardown(f, mail_fresh, mail_tidy)

/* Paths: relative ones are ann's. One of a few buffers that take turns. */
const char *mail_path(const char *rel);
void mail_put(const char *rel, const char *text);
void mail_dir(const char *rel);
void mail_move(const char *from, const char *to);
void mail_remove(const char *rel); /* removes a tree; it need not exist */
bool mail_there(const char *rel);
/* Nobody has changed new/ and cur/ for long; another date each time: the clock of directories is
 * coarse. */
void mail_age(void);
/* The whole file, and a NUL; malloc'd. */
char *mail_text(const char *rel, size_t *ret_n);
/* The names in a directory, in order, each followed by a space. */
const char *mail_names(const char *dir);
/* The text of each file in new and cur, in the order of their names: "one two ". */
const char *mail_letters(void);
/* The ledger becomes these records, which are freed. */
void mail_ledger(struct ledger_out *o);
/* One more message that was never retrieved. */
void mail_known(struct ledger_out *o, const char *identity, const char *uidl, uint64_t octets,
		uint64_t stored);
/* The ledger as it is, for ledger_free. */
struct ledger *mail_ledger_read(void);

/* path = MAIL/%u, and further settings: key, value, ..., NULL. */
#define MAIL_OPEN(...) clocked_open("maildir", "path", mail_path("../%u"), __VA_ARGS__)

/* ann's mailbox, however many slices it takes; must succeed. */
void *box_enter(struct host_inst *i, uint32_t flags, uint64_t *ret_n);
void box_info(struct host_inst *i, void *mbox, uint64_t k, struct pm_msg *ret);
int32_t box_read(struct host_inst *i, void *mbox, uint64_t k, char *buf, size_t cap);
/* One session with nothing done: "uidl:octets " of each message. */
const char *box_list_of(struct host_inst *i, uint32_t flags);
/* Without and with the lock, and what the first one with it remembers, the list is this. */
void expect_list(struct host_inst *i, const char *list);
/* The same with their text, letters without line ends: "uidl=letter ". */
const char *box_letters(struct host_inst *i, uint32_t flags);
/* Checks that every session, again and again, gets this list. */
void box_expect(struct host_inst *i, const char *list);
/* Deletes and marks the messages named by digits, "0 2"; however many slices. */
int32_t box_commit(struct host_inst *i, void *mbox, uint64_t n, const char *del,
		   const char *retrieved, int64_t now_ms);
/* A session that does just that. */
int32_t box_quit(struct host_inst *i, const char *del, const char *retrieved, int64_t now_ms);
/* host_box_stat of ann's, however many slices it takes. */
int32_t box_totals(struct host_inst *i, struct pm_stat *ret);
int32_t box_deliver(struct host_inst *i, const struct pm_rcpt *r, uint32_t flags, const char *text,
		    struct pm_result *ret);

#endif
