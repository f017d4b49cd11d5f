/* SPDX-License-Identifier: Apache-2.0 */
#include "totals.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <uthash.h>

#define BELIEVED_MS (10 * 60 * 1000)
#define TICK_MS 20     /* for a file system that keeps parts of seconds */
#define SECOND_MS 2000 /* for one that does not */
#define WAIT_MS 150    /* for another caller's slice or delivery; then the permit is given back */
#define LEFT_MS 60000  /* a count that nobody went on with for so long is begun again */
#define NOTES_MOST 100000

/* A delivery while the mailbox is counted. */
struct note {
	char *name;
	uint64_t octets;
};

struct counting {
	bool begun;
	bool busy; /* a caller is making a slice of it */
	/* others changed the mailbox since, so the result is good for the callers that asked, but
	 * not remembered */
	bool spoilt;
	bool stale; /* it was begun before a caller asked for a new one: it ends with its slice */
	void *work;
	int64_t left_ms; /* when the last slice ended */
	struct note *notes;
	size_t n, cap;
};

struct sdk_total {
	UT_hash_handle hh; /* by box; the least recently used one first */
	struct sdk_box box;
	unsigned users; /* under the table's mutex; the entry is kept while there are any */
	pthread_mutex_t mutex;
	pthread_cond_t moved; /* signalled when changing or busy ends */
	/* below: under mutex */
	struct sdk_look look; /* the looks that stat, or the count with its notes, belongs to */
	struct pm_stat stat;
	int64_t counted_ms;
	bool known;    /* stat is valid */
	bool changing; /* a delivery of ours is between its looks */
	const char *changing_name;
	bool seen; /* a count that ended meanwhile has counted that delivery */
	struct counting count;
};

struct sdk_totals {
	const struct pm_host *host;
	void (*work_free)(void *work);
	size_t most;
	pthread_mutex_t mutex;
	/* below: under mutex */
	struct sdk_total *all;
};

static int64_t
totals_now_ms(const struct sdk_totals *t)
{
	return t->host->now_ms(t->host->ctx);
}

/* ---- the table ------------------------------------------------------------------------------- */

struct sdk_totals *
sdk_totals_new(const struct pm_host *host, void (*work_free)(void *work))
{
	struct sdk_totals *t = calloc(1, sizeof(*t));

	if (!t)
		return NULL;
	t->host = host;
	t->work_free = work_free;
	t->most = SDK_TOTALS_MOST;
	pthread_mutex_init(&t->mutex, NULL);
	return t;
}

void
sdk_totals_bound(struct sdk_totals *t, size_t most)
{
	t->most = most > 0 ? most : 1;
}

/* Ends a count, whatever its outcome. */
static void
count_end(struct sdk_totals *t, struct counting *c)
{
	if (c->work)
		t->work_free(c->work);
	for (size_t k = 0; k < c->n; k++)
		free(c->notes[k].name);
	free(c->notes);
	*c = (struct counting){0};
}

/* Frees an entry that nobody uses; under the table's mutex. */
static void
totals_forget(struct sdk_totals *t, struct sdk_total *e)
{
	HASH_DEL(t->all, e);
	count_end(t, &e->count);
	pthread_cond_destroy(&e->moved);
	pthread_mutex_destroy(&e->mutex);
	free(e);
}

void
sdk_totals_free(struct sdk_totals *t)
{
	struct sdk_total *e, *next;

	if (!t)
		return;
	HASH_ITER (hh, t->all, e, next)
		totals_forget(t, e);
	pthread_mutex_destroy(&t->mutex);
	free(t);
}

bool
sdk_totals_used(struct sdk_totals *t)
{
	bool used;

	pthread_mutex_lock(&t->mutex);
	used = t->all != NULL;
	pthread_mutex_unlock(&t->mutex);
	return used;
}

void
sdk_totals_tidy(struct sdk_totals *t)
{
	int64_t now = totals_now_ms(t);
	struct sdk_total *e, *next;

	pthread_mutex_lock(&t->mutex);
	HASH_ITER (hh, t->all, e, next)
		if (e->users == 0 && e->count.begun && now - e->count.left_ms >= LEFT_MS)
			count_end(t, &e->count);
	pthread_mutex_unlock(&t->mutex);
}

/* Makes a new entry, in the place of the least recently used one that nobody uses now; under the
 * table's mutex. NULL: no memory. */
static struct sdk_total *
totals_make(struct sdk_totals *t, const struct sdk_box *box)
{
	struct sdk_total *e = calloc(1, sizeof(*e)), *old, *next;
	pthread_condattr_t clock;

	if (!e)
		return NULL;
	e->box = *box;
	pthread_mutex_init(&e->mutex, NULL);
	pthread_condattr_init(&clock);
	pthread_condattr_setclock(&clock, CLOCK_MONOTONIC);
	pthread_cond_init(&e->moved, &clock);
	pthread_condattr_destroy(&clock);
	HASH_ITER (hh, t->all, old, next) {
		if (HASH_COUNT(t->all) < t->most)
			break;
		if (old->users == 0)
			totals_forget(t, old);
	}
	HASH_ADD(hh, t->all, box, sizeof(e->box), e);
	return e;
}

/* Gives the mailbox' total, with its mutex locked. NULL: there is none, or no memory for it. */
static struct sdk_total *
totals_enter(struct sdk_totals *t, const struct sdk_box *box, bool may_make)
{
	struct sdk_total *e;

	pthread_mutex_lock(&t->mutex);
	HASH_FIND(hh, t->all, box, sizeof(*box), e);
	if (e) { /* it is the most recently used one now */
		HASH_DEL(t->all, e);
		HASH_ADD(hh, t->all, box, sizeof(e->box), e);
	} else if (may_make) {
		e = totals_make(t, box);
	}
	if (e)
		e->users++;
	pthread_mutex_unlock(&t->mutex);
	if (e)
		pthread_mutex_lock(&e->mutex);
	return e;
}

static void
totals_leave(struct sdk_totals *t, struct sdk_total *e)
{
	pthread_mutex_unlock(&e->mutex);
	pthread_mutex_lock(&t->mutex);
	e->users--;
	pthread_mutex_unlock(&t->mutex);
}

/* ---- asking ---------------------------------------------------------------------------------- */

static bool
totals_same(const struct sdk_look *a, const struct sdk_look *b)
{
	return memcmp(a->word, b->word, sizeof(a->word)) == 0;
}

/* True if the known total is still valid. While a delivery of ours changes the mailbox nobody can
 * tell; it was valid right before. */
static bool
totals_believed(const struct sdk_totals *t, struct sdk_total *e, const struct sdk_count *c)
{
	if (e->known && totals_now_ms(t) - e->counted_ms >= BELIEVED_MS)
		e->known = false;
	if (e->known && !e->changing) {
		struct sdk_look now = c->look(c->ctx);

		e->known = totals_same(&e->look, &now) && (e->look.at_rest || !now.at_rest);
	}
	return e->known;
}

static void
totals_add(const struct sdk_totals *t, struct pm_stat *s, uint64_t octets)
{
	s->count++;
	s->octets += octets;
	s->last_delivery_ms = t->host->wall_ms(t->host->ctx) / 1000 * 1000;
}

/* Completes a count: adds deliveries that came meanwhile and were not seen. */
static void
totals_settle(const struct sdk_totals *t, struct sdk_total *e, const struct sdk_count *c,
	      struct pm_stat *s)
{
	const struct counting *n = &e->count;

	for (size_t k = 0; k < n->n; k++)
		if (!c->saw(n->work, n->notes[k].name))
			totals_add(t, s, n->notes[k].octets);
	e->seen = e->changing && c->saw(n->work, e->changing_name);
	e->stat = *s;
	e->known = !n->spoilt && !n->stale;
	e->counted_ms = totals_now_ms(t);
}

/* Makes one slice, without the mutex. */
static int32_t
count_on(struct sdk_totals *t, struct sdk_total *e, const struct sdk_count *c, struct pm_stat *s)
{
	void *work;
	int32_t rc;

	if (e->count.begun && totals_now_ms(t) - e->count.left_ms >= LEFT_MS)
		count_end(t, &e->count);
	if (!e->count.begun) {
		e->look = c->look(c->ctx);
		e->known = false;
		e->count = (struct counting){.begun = true};
	}
	work = e->count.work;
	e->count.busy = true;
	pthread_mutex_unlock(&e->mutex);
	rc = c->slice(c->ctx, &work, s);
	pthread_mutex_lock(&e->mutex);
	e->count.busy = false;
	e->count.work = work;
	e->count.left_ms = totals_now_ms(t);
	if (rc == PM_OK)
		totals_settle(t, e, c, s);
	if (rc != PM_AGAIN || e->count.stale)
		count_end(t, &e->count);
	pthread_cond_broadcast(&e->moved);
	return rc;
}

static void
begin_anew(struct sdk_totals *t, struct sdk_total *e)
{
	e->known = false;
	if (e->count.busy)
		e->count.stale = true;
	else
		count_end(t, &e->count);
}

/* The time WAIT_MS from now, on the clock of conditions. */
static struct timespec
wait_until(void)
{
	struct timespec at;

	clock_gettime(CLOCK_MONOTONIC, &at);
	at.tv_nsec += WAIT_MS * 1000000L;
	at.tv_sec += at.tv_nsec / 1000000000;
	at.tv_nsec %= 1000000000;
	return at;
}

int32_t
sdk_totals_ask(struct sdk_totals *t, const struct sdk_box *box, const struct sdk_count *count,
	       struct pm_stat *ret)
{
	struct sdk_total *e = totals_enter(t, box, true);
	struct timespec until = wait_until();
	struct pm_stat s = {0};
	bool over = false;
	int32_t rc = PM_AGAIN;

	if (!e)
		return PM_NOMEM;
	if (count->anew)
		begin_anew(t, e);
	while (rc == PM_AGAIN && !over) {
		if (totals_believed(t, e, count)) {
			s = e->stat;
			rc = PM_OK;
		} else if (e->count.begun ? !e->count.busy : !e->changing) {
			rc = count_on(t, e, count, &s);
			over = true;
		} else {
			over = pthread_cond_timedwait(&e->moved, &e->mutex, &until) != 0;
		}
	}
	totals_leave(t, e);
	if (rc == PM_OK) {
		s.size = ret->size;
		*ret = s;
	}
	return rc;
}

/* ---- deliveries ------------------------------------------------------------------------------ */

struct sdk_total *
sdk_totals_hold(struct sdk_totals *t, const struct sdk_box *box, const char *name)
{
	struct sdk_total *e = totals_enter(t, box, false);

	if (!e)
		return NULL;
	while (e->changing)
		pthread_cond_wait(&e->moved, &e->mutex);
	e->changing = true;
	e->changing_name = name;
	e->seen = false;
	pthread_mutex_unlock(&e->mutex); /* the entry stays in use */
	return e;
}

/* Notes a delivery. False: it cannot be noted. */
static bool
totals_note(struct counting *c, const char *name, uint64_t octets)
{
	if (c->n == c->cap) {
		size_t cap = c->cap ? c->cap * 2 : 16;
		struct note *more =
			c->n < NOTES_MOST ? realloc(c->notes, cap * sizeof(*more)) : NULL;

		if (!more)
			return false;
		c->notes = more;
		c->cap = cap;
	}
	c->notes[c->n] = (struct note){strdup(name), octets};
	return c->notes[c->n].name && ++c->n;
}

void
sdk_totals_release(struct sdk_totals *t, struct sdk_total *e, const struct sdk_look *before,
		   const struct sdk_look *after, uint64_t octets)
{
	pthread_mutex_lock(&e->mutex);
	if (before && after && totals_same(&e->look, before)) {
		memcpy(e->look.word, after->word,
		       sizeof(e->look.word)); /* the rest of the count is as it was */
		if (e->known && !e->seen)
			totals_add(t, &e->stat, octets);
		else if (e->count.begun && !totals_note(&e->count, e->changing_name, octets))
			e->count.spoilt = true;
	} else if (before) {
		e->known = false;
		e->count.spoilt = true;
	}
	e->changing = false;
	pthread_cond_broadcast(&e->moved);
	totals_leave(t, e);
}

/* ---- clocks ---------------------------------------------------------------------------------- */

bool
sdk_at_rest(const struct pm_host *host, struct timespec mtime)
{
	int64_t age_ms =
		host->wall_ms(host->ctx) - ((int64_t)mtime.tv_sec * 1000 + mtime.tv_nsec / 1000000);

	return age_ms >= (mtime.tv_nsec == 0 ? SECOND_MS : TICK_MS);
}
