/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Totals of mailboxes: with quotas they are asked for at every RCPT, and reading the directories costs more the
 * more they hold. A total is true while both directories and the ledger are as they were when it was counted.
 *
 * A delivery of ours is added to it, if new/ was as the total knew it right before. What another program does
 * within the same tick of the file system's clock (mostly 4 ms) as a delivery or a counting may go unseen. A
 * total counted while the clock stood there is counted again when it has moved, and each after ten minutes.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "maildir.h"

#include <uthash.h>

#define TOTALS_MAX 16384
#define BELIEVED_MS (10 * 60 * 1000)
#define TICK_MS 20 /* of a file system that tells parts of seconds; SETTLE_MS of one that does not */

struct total {
	UT_hash_handle hh; /* oldest first */
	struct box_key key;
	struct scan from;  /* scan_stat() before it was counted; new_mtime moves with our deliveries */
	bool settled;      /* the directories were at rest then */
	int64_t counted_ms;
	struct pm_stat stat;
};

struct totals {
	pthread_mutex_t mutex;
	/* below: under mutex */
	struct total *all;
};

struct totals *
totals_new(void)
{
	struct totals *t = calloc(1, sizeof(*t));

	if (t)
		pthread_mutex_init(&t->mutex, NULL);
	return t;
}

/* Under the mutex. */
static void
drop(struct totals *t, struct total *e)
{
	HASH_DEL(t->all, e);
	free(e);
}

static struct total *
find(struct totals *t, const struct box_key *k)
{
	struct total *e;

	HASH_FIND(hh, t->all, k, sizeof(*k), e);
	return e;
}

void
totals_free(struct totals *t)
{
	struct total *e, *next;

	if (!t)
		return;
	HASH_ITER(hh, t->all, e, next)
		drop(t, e);
	pthread_mutex_destroy(&t->mutex);
	free(t);
}

/* Would a change from now on show in the time of the directory? */
static bool
at_rest(const struct inst *i, struct timespec mtime)
{
	int64_t age_ms = i->host->wall_ms(i->host->ctx) - scan_ms_of(mtime);

	return age_ms >= (mtime.tv_nsec == 0 ? SETTLE_MS : TICK_MS);
}

static bool
both_at_rest(const struct inst *i, const struct scan *s)
{
	return at_rest(i, s->new_mtime) && at_rest(i, s->cur_mtime);
}

bool
totals_get(struct inst *i, const struct scan *now, struct pm_stat *ret)
{
	struct box_key k = scan_key(now);
	struct total *e;
	bool good;

	pthread_mutex_lock(&i->totals->mutex);
	e = find(i->totals, &k);
	good = e && scan_same_dirs(&e->from, now) && scan_same_ledger(&e->from, now) &&
	       (e->settled || !both_at_rest(i, now)) && maildir_now(i) - e->counted_ms < BELIEVED_MS;
	if (good)
		*ret = e->stat;
	else if (e)
		drop(i->totals, e);
	pthread_mutex_unlock(&i->totals->mutex);
	return good;
}

void
totals_put(struct inst *i, const struct scan *before, const struct pm_stat *s)
{
	struct total *e = calloc(1, sizeof(*e)), *old;

	if (!e)
		return; /* counted again next time */
	e->key = scan_key(before);
	e->from = *before;
	e->stat = *s;
	e->settled = both_at_rest(i, before);
	e->counted_ms = maildir_now(i);
	pthread_mutex_lock(&i->totals->mutex);
	old = find(i->totals, &e->key);
	if (old)
		drop(i->totals, old);
	if (HASH_COUNT(i->totals->all) >= TOTALS_MAX)
		drop(i->totals, i->totals->all);
	HASH_ADD(hh, i->totals->all, key, sizeof(e->key), e);
	pthread_mutex_unlock(&i->totals->mutex);
}

void
totals_before(struct inst *i, int fd, struct arriving *a)
{
	struct stat st;

	pthread_mutex_lock(&i->totals->mutex);
	a->counts = i->totals->all != NULL; /* without quotas nobody asks, and nothing is to be done */
	pthread_mutex_unlock(&i->totals->mutex);
	a->counts = a->counts && fstat(fd, &st) == 0;
	if (!a->counts)
		return;
	memset(&a->key, 0, sizeof(a->key)); /* padding is hashed too */
	a->key.dev = st.st_dev;
	a->key.ino = st.st_ino;
	a->counts = fstatat(fd, "new", &st, AT_SYMLINK_NOFOLLOW) == 0;
	a->new_mtime = st.st_mtim;
}

void
totals_add(struct inst *i, const struct arriving *a, int new_fd, uint64_t octets)
{
	struct total *e;
	struct stat st;

	if (!a->counts)
		return;
	if (fstat(new_fd, &st) != 0)
		memset(&st, 0, sizeof(st)); /* no time a directory has: counted again */
	pthread_mutex_lock(&i->totals->mutex);
	e = find(i->totals, &a->key);
	if (e && e->from.new_mtime.tv_sec == a->new_mtime.tv_sec && e->from.new_mtime.tv_nsec == a->new_mtime.tv_nsec) {
		e->from.new_mtime = st.st_mtim;
		e->stat.count++;
		e->stat.octets += octets;
		e->stat.last_delivery_ms = i->host->wall_ms(i->host->ctx) / 1000 * 1000;
	} else if (e) {
		drop(i->totals, e);
	}
	pthread_mutex_unlock(&i->totals->mutex);
}
