/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kit - what the checks of restante-conform share. Each check runs in a process of its own (run.c):
 * it opens the instances it needs, speaks to the module through the descriptor's tables as the
 * server would, and either returns or ends itself with kit_fail. A crash, a hang or a sanitizer's
 * report is that check's failure only.
 *
 * Threads: everything here may be used by the threads of a check, but for one struct box by one at
 * a time.
 */
#ifndef CONFORM_KIT_H
#define CONFORM_KIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "host/answer.h"
#include "host/call.h"
#include "host/inst.h"

/* Needs of a check: of the module, or of the command line. */
#define NEED_STORAGE 1u
#define NEED_DELIVERY 2u /* storage and delivery: the kit makes its own mail */
#define NEED_AUTH 4u
#define NEED_ACCOUNT 8u /* --user and --password */
#define NEED_SHARED 16u /* what one process wrote another sees: not with --in-memory */
#define NEED_MARK 32u
#define NEED_HIDE 64u
#define NEED_IMPORT 128u
#define NEED_LIST 256u
#define NEED_STAT 512u
#define NEED_DELETE 1024u
#define NEED_FD 2048u
#define NEED_SECRET 4096u
#define NEED_DOMAIN 8192u
#define NEED_PROBE 16384u
#define NEED_TICK 32768u
#define NEED_EVENT 65536u
#define NEED_SETUP 131072u
#define NEED_COUNTS 262144u

struct check {
	const char *id;     /* "commit.exact" */
	const char *clause; /* of module.h: "R5", "mbox_commit" */
	const char *what;   /* the promise, one sentence */
	unsigned needs;
	void (*fn)(void);
};

/* One table per file; the last record has no id. */
extern const struct check checks_contract[], checks_snapshot[], checks_octets[], checks_commit[],
	checks_hide[], checks_lock[], checks_delivery[], checks_import[], checks_boxes[],
	checks_auth[], checks_limits[], checks_threads[];

struct setup {
	struct host_lib *lib, *wrapped; /* wrapped: the module inside, or NULL */
	struct host_setting settings[64], wrapped_settings[64];
	size_t n_settings, n_wrapped;
	const char *user, *password; /* an account that may log in, or NULL */
	const char *work_dir;        /* state_dir and run_dir; the kit's own */
	bool in_memory;
	unsigned seconds; /* a check's time */
};
extern struct setup setup;

/* ---- outcome --------------------------------------------------------------------------------- */

_Noreturn void kit_fail(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* Not this module's business; the reason is shown. */
_Noreturn void kit_skip(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
#define EXPECT(cond, ...) \
	do { \
		if (!(cond)) \
			kit_fail(__VA_ARGS__); \
	} while (0)
/* A result that has to be this one; call: for the module's own words. */
void expect_rc(const char *what, int32_t rc, int32_t expected);

/* ---- run.c: a process for each check --------------------------------------------------------- */

struct outcome {
	enum { PASSED, FAILED, SKIPPED } how;
	char text[1500];
};
struct outcome run_check(const struct check *c);
/* A child of a check: runs fn(arg) and ends with its result; the caller reads it with kit_join. */
int kit_fork(int (*fn)(void *arg), void *arg);
int kit_join(int pid);

/* ---- inst.c: instances and calls ------------------------------------------------------------- */

struct inst {
	struct host_inst *host, *wrapped;
	const struct pm_module *m;
	void *i;
};
/* Opens the module (in the wrapped one, when there is one); a failure ends the check. */
struct inst *kit_open(void);
/* The same with other permits; NULL: the configuration was refused, kit_errors has the texts. */
struct inst *kit_try_open(const struct host_setting *settings, size_t n, uint32_t permits);
void kit_close(struct inst *in);
/* check() with these PM_OPENF_ bits. */
bool kit_check(uint32_t flags);
extern char kit_errors[4096]; /* of the last check and open, one a line */
extern char kit_log[8192];    /* what modules logged in this process, cut */

/* A fresh call record of this thread, 20 s away; valid until the thread's next. alloc's memory
 * lives until the process ends. */
struct host_call *kit_call(void);
const struct pm_call *pm(void);             /* &kit_call()->pm */
const struct pm_call *pm_by(int64_t in_ms); /* deadline in_ms from now; negative: over already */
/* the module's words in this thread's last call, or "" */
const char *kit_said(void);
extern _Thread_local bool kit_cancelled;  /* cancelled() says so */
extern _Thread_local int kit_allocs_left; /* alloc() gives NULL after so many; -1: never */
int64_t kit_now_ms(void);
/* each look at the host's clock takes so long: a slice is over at once */
extern _Thread_local int kit_hurry_ms;
/* A thread of a check: introduces itself to the module and says goodbye. */
typedef struct kit_thread kit_thread;
kit_thread *kit_thread_start(struct inst *in, void (*fn)(void *arg), void *arg);
void kit_thread_join(kit_thread *t);

/* ---- box.c: mailboxes and mail --------------------------------------------------------------- */

struct box {
	struct inst *in;
	void *h;
	uint64_t n;
};
struct bytes {
	char *p;
	size_t n;
};

/* "conform<k>@example.org", as lookup() would give it. The strings are static. */
struct pm_user kit_user(unsigned k);
struct pm_str kit_str(const char *s);
/* mbox_open until it is done; the result, with *ret set for PM_OK. */
int32_t box_try(struct inst *in, unsigned user, uint32_t flags, struct box *ret);
struct box box_open(struct inst *in, unsigned user, uint32_t flags);
/* box_stat until it is done. */
int32_t box_totals(struct inst *in, unsigned user, struct pm_stat *ret);
int32_t box_recount(struct inst *in, unsigned user, struct pm_stat *ret); /* PM_CALLF_RECOUNT */
/* The same, after its holder was killed: at once where the system keeps the lock; where a lease
 * does, when it runs out. */
struct box box_open_dead(struct inst *in, unsigned user);
void box_close(struct box *b);
/* mbox_info of messages first..first+n-1 until it is done. */
void box_info(struct box *b, uint64_t first, size_t n, uint32_t want, struct pm_msg *ret);
struct pm_msg box_one(struct box *b, uint64_t index, uint32_t want);
/* The whole message in reads of at most cap bytes; the caller frees p. */
struct bytes box_read(struct box *b, uint64_t index, size_t cap);
/* mbox_commit until it is done. del, retrieved, restore: maps or NULL. */
int32_t box_commit(struct box *b, const uint8_t *del, const uint8_t *retrieved,
		   const uint8_t *restore, int64_t keep_until_ms);
/* Index of the message whose text holds `part`, or -1; `found`: how many do. */
int64_t box_find(struct box *b, const char *part);
/* The mailbox as the checks want it at first: empty. */
void kit_empty(struct inst *in, unsigned user);
/* Delivers one message (CRLF, not dot-stuffed) to one user, through all steps; a failure ends
 * the check. */
void kit_deliver(struct inst *in, unsigned user, const void *text, size_t n);
void kit_deliver_text(struct inst *in, unsigned user, const char *text);
/* "Subject: <tag> <k>" with a few body lines, n of them, k = 0..n-1. */
void kit_deliver_many(struct inst *in, unsigned user, const char *tag, unsigned n);
/* Octets on the wire of stored bytes; *ret: the bytes as they go there, before dot-stuffing
 * (free). */
size_t kit_wire(struct bytes stored, char **ret);

static inline void
map_set(uint8_t *map, uint64_t i)
{
	map[i / 8] = (uint8_t)(map[i / 8] | 1u << i % 8);
}

#endif
