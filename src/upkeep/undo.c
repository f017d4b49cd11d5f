/* SPDX-License-Identifier: Apache-2.0 */
#include "upkeep/undo.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "account/chain.h"
#include "base/clock.h"

#define PLACES_FIRST 64
#define AGAIN_MS 60000
#define DOUBLINGS 6 /* at most an hour between two tries */

static struct {
	pthread_mutex_t mutex;
	/* below: under mutex */
	struct waiting {
		char name[PM_NAME_MAX + 1];
		int64_t due_ms;
		unsigned tries;
	} * list; /* in no order */
	unsigned n, cap;
	unsigned most; /* undo_waiting, as it was asked for last */
	bool missed;   /* one found no place */
} undo = {.mutex = PTHREAD_MUTEX_INITIALIZER};

/* ---- the configuration ----------------------------------------------------------------------- */

static bool
same_settings(const struct conf_section *a, const struct conf_section *b)
{
	if (strcmp(a->module, b->module) != 0 || a->n_settings != b->n_settings || a->wrap ||
	    b->wrap)
		return false;
	for (size_t i = 0; i < a->n_settings; i++)
		if (strcmp(a->settings[i].key, b->settings[i].key) != 0 ||
		    strcmp(a->settings[i].value, b->settings[i].value) != 0)
			return false;
	return true;
}

void
undo_check(const struct conf *c, uint32_t flags, struct conf_errors *e)
{
	const struct conf_section *u = c->undo;

	if (!(flags & PM_F_CAN_IMPORT))
		conf_error(e, &u->where,
			   "undo_storage = %s: its module cannot keep unique-ids of mail that "
			   "comes from elsewhere; "
			   "use another one there",
			   u->name);
	if (!(flags & PM_F_CAN_MARK))
		conf_error(e, &u->where,
			   "undo_storage = %s: its module keeps no dates, so nothing would ever go "
			   "from there; use "
			   "another one there",
			   u->name);
	for (size_t i = 0; i < c->n_storage; i++)
		if (&c->storage[i] != u && same_settings(&c->storage[i], u))
			conf_error(e, &u->where,
				   "undo_storage = %s: it is the same place as storage section %s; "
				   "deleted mail needs one "
				   "of its own",
				   u->name, c->storage[i].name);
}

void
undo_user(const struct pm_user *u, struct pm_user *ret)
{
	const char *at = u->name.n > 0 ? memrchr(u->name.p, '@', u->name.n) : NULL;

	*ret = *u;
	ret->key = u->name;
	if (at)
		ret->domain = (struct pm_str){at + 1, (size_t)(u->name.p + u->name.n - at) - 1};
	ret->quota_octets = ret->quota_msgs = ret->domain_octets = ret->domain_msgs = 0;
}

/* ---- who waits ------------------------------------------------------------------------------- */

/* Under the mutex. NULL: the list is full, or there is no memory. */
static struct waiting *
undo_place(void)
{
	if (undo.n >= undo.most)
		return NULL;
	if (undo.n == undo.cap) {
		unsigned cap = undo.cap > 0 ? 2 * undo.cap : PLACES_FIRST;
		struct waiting *list = realloc(undo.list, cap * sizeof(*list));

		if (!list)
			return NULL;
		undo.list = list;
		undo.cap = cap;
	}
	return &undo.list[undo.n++];
}

static void
undo_put(const char *name, size_t n, int64_t due_ms, unsigned tries)
{
	struct waiting *w = NULL;

	if (n == 0 || n > PM_NAME_MAX)
		return;
	pthread_mutex_lock(&undo.mutex);
	for (unsigned i = 0; i < undo.n && !w; i++)
		if (strncmp(undo.list[i].name, name, n) == 0 && undo.list[i].name[n] == '\0')
			w = &undo.list[i];
	if (!w && (w = undo_place()) != NULL) {
		memcpy(w->name, name, n);
		w->name[n] = '\0';
		w->due_ms = INT64_MAX;
	}
	undo.missed = undo.missed || !w;
	if (w && due_ms < w->due_ms) { /* one that waited for another try has it sooner */
		w->due_ms = due_ms;
		w->tries = tries;
	}
	pthread_mutex_unlock(&undo.mutex);
}

void
undo_hidden(const struct conf *c, struct pm_str name)
{
	if (!c->undo)
		return;
	pthread_mutex_lock(&undo.mutex);
	undo.most = c->undo_waiting;
	pthread_mutex_unlock(&undo.mutex);
	undo_put(name.p, name.n, mono_ms() + UNDO_DELAY_MS, 0);
}

void
undo_again(const char *name, unsigned tries, int64_t now_ms)
{
	unsigned doublings = tries < DOUBLINGS ? tries : DOUBLINGS;

	undo_put(name, strlen(name), now_ms + ((int64_t)AGAIN_MS << doublings), tries);
}

bool
undo_due(int64_t now_ms, char ret_name[PM_NAME_MAX + 1], unsigned *ret_tries)
{
	bool found = false;

	pthread_mutex_lock(&undo.mutex);
	for (unsigned i = 0; i < undo.n && !found; i++) {
		if (undo.list[i].due_ms > now_ms)
			continue;
		memcpy(ret_name, undo.list[i].name, PM_NAME_MAX + 1);
		*ret_tries = undo.list[i].tries;
		undo.list[i] = undo.list[--undo.n];
		found = true;
	}
	pthread_mutex_unlock(&undo.mutex);
	return found;
}

void
undo_miss(void)
{
	pthread_mutex_lock(&undo.mutex);
	undo.missed = true;
	pthread_mutex_unlock(&undo.mutex);
}

bool
undo_missed(void)
{
	bool missed;

	pthread_mutex_lock(&undo.mutex);
	missed = undo.missed;
	undo.missed = false;
	pthread_mutex_unlock(&undo.mutex);
	return missed;
}
