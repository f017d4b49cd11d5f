/* SPDX-License-Identifier: Apache-2.0 */
#include "upkeep/sweep_report.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

#define JOBS 8

static struct {
	pthread_mutex_t mutex;
	/* below: under mutex */
	struct sweep_report jobs[JOBS]; /* id 0: free */
	uint64_t last_id;
} sweeps = {.mutex = PTHREAD_MUTEX_INITIALIZER};

/* A free place, else that of the oldest that is done. Under the mutex. */
static struct sweep_report *
sweep_report_find_place(void)
{
	struct sweep_report *best = NULL;

	for (size_t i = 0; i < JOBS; i++) {
		struct sweep_report *r = &sweeps.jobs[i];

		if (r->id == 0)
			return r;
		if (r->done && (!best || r->id < best->id))
			best = r;
	}
	return best;
}

static const struct sweep_report *
find_same(const struct sweep_order *o)
{
	for (size_t i = 0; i < JOBS; i++) {
		const struct sweep_report *r = &sweeps.jobs[i];

		if (r->id != 0 && !r->done && r->kind == o->kind &&
		    strcmp(r->domain, o->domain) == 0 && strcmp(r->user, o->user) == 0)
			return r;
	}
	return NULL;
}

/* For a round of the background, without a report to look at: memory of its own. Else a place. */
static struct sweep_report *
sweep_report_take_place(const struct sweep_order *o, char *error)
{
	const struct sweep_report *same = find_same(o);
	struct sweep_report *r = same      ? NULL
				 : o->over ? malloc(sizeof(*r))
					   : sweep_report_find_place();

	if (same)
		snprintf(error, 200, "the same is under way already, as number %llu",
			 (unsigned long long)same->id);
	else if (!r)
		snprintf(error, 200, "%d jobs are at work; try again later", JOBS);
	return r;
}

struct sweep_report *
sweep_report_new(const struct sweep_order *o, pthread_mutex_t **ret_mutex, char *error)
{
	struct sweep_report *r;

	*ret_mutex = &sweeps.mutex;
	pthread_mutex_lock(&sweeps.mutex);
	r = sweep_report_take_place(o, error);
	if (r) {
		memset(r, 0, sizeof(*r));
		r->id = o->over ? UINT64_MAX : ++sweeps.last_id;
		r->kind = o->kind;
		r->dry_run = o->dry_run;
		memcpy(r->user, o->user, sizeof(r->user));
		memcpy(r->domain, o->domain, sizeof(r->domain));
		r->started_ms = wall_ms();
		r->domain_rc = PM_NOENT;
	}
	pthread_mutex_unlock(&sweeps.mutex);
	return r;
}

void
sweep_report_drop(struct sweep_report *r, const struct sweep_order *o)
{
	if (o->over) {
		free(r);
		return;
	}
	pthread_mutex_lock(&sweeps.mutex);
	r->id = 0;
	pthread_mutex_unlock(&sweeps.mutex);
}

bool
sweep_report_get(uint64_t id, struct sweep_report *ret)
{
	bool found = false;

	pthread_mutex_lock(&sweeps.mutex);
	for (size_t i = 0; i < JOBS && id != 0 && !found; i++) {
		found = sweeps.jobs[i].id == id;
		if (found)
			*ret = sweeps.jobs[i];
	}
	pthread_mutex_unlock(&sweeps.mutex);
	return found;
}
