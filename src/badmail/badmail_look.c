/* SPDX-License-Identifier: Apache-2.0 */
/*
 * When an item is due stands in the mtime of its sidecar, so that looking for due ones opens no
 * file; a look goes on where the last one ended, 500 items at a time.
 */
#include "badmail/badmail_look.h"

#include <stdatomic.h>
#include <sys/stat.h>

#include "badmail/badmail.h"
#include "badmail/badmail_busy.h"
#include "badmail/badmail_item.h"
#include "badmail/badmail_place.h"
#include "badmail/badmail_retry.h"
#include "badmail/badmail_seen.h"
#include "badmail/badmail_store.h"
#include "base/clock.h"
#include "base/log.h"
#include "module/errand.h"

#define LOOK_MS 1000
#define LOOK_ITEMS 500
#define EXPIRE_AT_ONCE 200
#define TMP_MS 600000

static struct {
	_Atomic bool looking;
	_Atomic int64_t due_ms;
	/* what follows is the errand's, and there is one */
	uint64_t cursor;
	int64_t swept_ms;
} look;

/* No try is further away than retry_max: a later one was noted by a clock that was wrong. */
static bool
is_due(int64_t due_ms, int64_t now_ms, const struct conf_badmail *b)
{
	int64_t most = b->retry_max_ms > b->retry_first_ms ? b->retry_max_ms : b->retry_first_ms;

	return due_ms <= now_ms || due_ms > now_ms + most;
}

static void
start_due(struct conf *c, uint64_t first, uint64_t end)
{
	int64_t now = wall_ms();
	char path[BADMAIL_PATH_MAX];
	uint64_t id = look.cursor > first ? look.cursor : first;
	struct stat st;
	bool unsure;

	for (unsigned n = 0; n < LOOK_ITEMS; n++, id++) {
		if (!badmail_place_next(&c->badmail, BADMAIL_RETRY, id, end, &id, &unsure)) {
			look.cursor = 0; /* from the start, next time */
			return;
		}
		badmail_place_item(&c->badmail, BADMAIL_RETRY, id, ".json", path, sizeof(path));
		if (lstat(path, &st) != 0 ||
		    !is_due((int64_t)st.st_mtim.tv_sec * 1000, now, &c->badmail) ||
		    badmail_busy_has(BADMAIL_RETRY, id))
			continue;
		if (!badmail_retry_start(c, BADMAIL_RETRY, id, NULL))
			break; /* enough are at work: from here in a second */
	}
	look.cursor = id;
}

static int32_t
look_run(struct errand *e)
{
	struct badmail_store st;
	int64_t oldest_ms[2];
	char text[200];
	int32_t rc = errand_enter(e, CALL_GIVE_BACK);

	if (rc != PM_OK)
		return rc;
	rc = badmail_store_lock(e->conf, &st, text);
	if (rc != PM_OK) {
		static struct log_rate rate;
		uint64_t held;

		if (log_rate_pass(&rate, &held))
			log_msg(LOG_LVL_ERROR, "badmail", "%s", text);
		return rc;
	}
	(void)badmail_store_expire(&st, EXPIRE_AT_ONCE);
	badmail_store_warn(&st);
	for (int k = 0; k < 2; k++)
		oldest_ms[k] = badmail_store_oldest_ms(&st, (enum badmail_class)k);
	badmail_seen_remember_oldest(oldest_ms);
	(void)badmail_store_unlock(&st);
	if (st.s.cls[BADMAIL_RETRY].items > 0)
		start_due(e->conf, st.s.cls[BADMAIL_RETRY].first, st.s.next_id);
	if (look.swept_ms == 0 || mono_ms() - look.swept_ms > TMP_MS) {
		badmail_place_sweep_tmp(&e->conf->badmail);
		look.swept_ms = mono_ms();
	}
	return PM_OK;
}

static void
look_finish(struct errand *e, int32_t rc)
{
	(void)e;
	(void)rc; /* the next look comes anyway */
	atomic_store(&look.looking, false);
}

void
badmail_look_soon(void)
{
	atomic_store(&look.due_ms, 0);
}

void
badmail_look_tick(int64_t now_ms)
{
	struct conf *c;
	struct errand e = {.name = "badmail",
			   .background = true,
			   .run = look_run,
			   .finish = look_finish,
			   .deadline_ms = now_ms + 60000};

	if (now_ms < atomic_load(&look.due_ms) || atomic_exchange(&look.looking, true))
		return;
	atomic_store(&look.due_ms, now_ms + LOOK_MS);
	c = conf_current();
	e.conf = c;
	e.backend = c ? badmail_backend(c) : NULL;
	if (!e.backend || !errand_start(&e))
		atomic_store(&look.looking, false);
	conf_put(c);
}
