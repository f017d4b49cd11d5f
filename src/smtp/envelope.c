/* SPDX-License-Identifier: Apache-2.0 */
#include "smtp/envelope.h"

#include <stdlib.h>
#include <string.h>

void
envelope_init(struct envelope *e)
{
	memset(e, 0, sizeof(*e));
	e->size = UINT64_MAX;
	arena_init(&e->arena, ENVELOPE_ARENA_MAX);
}

void
envelope_reset(struct envelope *e)
{
	for (size_t i = 0; i < e->n_dests; i++) {
		backend_put(e->dests[i].backend);
		free(e->dests[i].results);
	}
	free(e->rcpts);
	free(e->targets);
	free(e->dests);
	free(e->chunk);
	arena_reset(&e->arena);
	envelope_init(e);
}

/* Room for one more of size `size`; NULL: no memory. */
static void *
envelope_grow(void *list, size_t n, size_t *cap, size_t size)
{
	size_t more = *cap ? *cap * 2 : 4;
	void *p;

	if (n < *cap)
		return list;
	p = reallocarray(list, more, size);
	if (p)
		*cap = more;
	return p;
}

static bool
find_bag(struct envelope *e, struct backend *b, bool alone, size_t *ret)
{
	struct dest *more;

	for (*ret = 0; *ret < e->n_dests && !alone; (*ret)++)
		if (e->dests[*ret].backend == b && !e->dests[*ret].alone)
			return true;
	*ret = e->n_dests;
	more = envelope_grow(e->dests, e->n_dests, &e->bags_cap, sizeof(*more));
	if (!more)
		return false;
	e->dests = more;
	e->dests[e->n_dests++] = (struct dest){.backend = backend_ref(b), .alone = alone};
	return true;
}

static bool
same_mailbox(const struct envelope *e, const struct target *t, const struct backend *b,
	     const struct pm_user *u)
{
	return e->dests[t->dest].backend == b && t->user.key.n == u->key.n &&
	       memcmp(t->user.key.p, u->key.p, u->key.n) == 0;
}

bool
envelope_add_target(struct envelope *e, struct backend *b, const struct target *templ, bool alone,
		    size_t *ret_index)
{
	struct target *more;
	size_t dest;

	for (*ret_index = 0; *ret_index < e->n_targets; (*ret_index)++)
		if (same_mailbox(e, &e->targets[*ret_index], b, &templ->user))
			return true;
	more = envelope_grow(e->targets, e->n_targets, &e->targets_cap, sizeof(*more));
	if (!more)
		return false;
	e->targets = more;
	if (!find_bag(e, b, alone, &dest))
		return false;
	e->targets[e->n_targets] = *templ;
	e->targets[e->n_targets].dest = dest;
	e->targets[e->n_targets++].result = SIZE_MAX;
	return true;
}

struct rcpt *
envelope_add_rcpt(struct envelope *e, const char *address, const char *lookup, size_t max_targets)
{
	struct rcpt *more = envelope_grow(e->rcpts, e->n_rcpts, &e->rcpts_cap, sizeof(*more));

	if (!more)
		return NULL;
	e->rcpts = more;
	e->rcpts[e->n_rcpts] =
		(struct rcpt){.address = address, .lookup = lookup, .max_targets = max_targets};
	e->rcpts[e->n_rcpts].targets = arena_array(&e->arena, max_targets, sizeof(size_t));
	return e->rcpts[e->n_rcpts].targets ? &e->rcpts[e->n_rcpts++] : NULL;
}

bool
envelope_rcpt_target(struct rcpt *r, size_t target)
{
	for (size_t i = 0; i < r->n_targets; i++)
		if (r->targets[i] == target)
			return true;
	if (r->n_targets == r->max_targets)
		return false;
	r->targets[r->n_targets++] = target;
	return true;
}

void
envelope_untake_rcpt(struct envelope *e, size_t n_targets_before)
{
	e->n_rcpts--;
	e->n_targets = n_targets_before; /* newer ones belong to no other rcpt */
}

void
envelope_mark_wanted(struct envelope *e)
{
	for (size_t i = 0; i < e->n_rcpts; i++)
		for (size_t k = 0; k < e->rcpts[i].n_targets && !e->rcpts[i].loops; k++)
			e->targets[e->rcpts[i].targets[k]].wanted = true;
}

bool
envelope_has_handles(const struct envelope *e)
{
	for (size_t i = 0; i < e->n_dests; i++)
		if (e->dests[i].post.dlv)
			return true;
	return e->badmail != NULL;
}

int32_t
envelope_outcome(const struct envelope *e, size_t i)
{
	const struct rcpt *r = &e->rcpts[i];

	if (r->kept)
		return e->kept_done                ? PM_OK
		       : e->to_badmail_rc != PM_OK ? e->to_badmail_rc
						   : PM_TEMP;
	for (size_t k = 0; k < r->n_targets; k++) {
		int32_t rc = e->targets[r->targets[k]].rc;

		if (rc != PM_OK && rc != PM_EXISTS)
			return rc;
	}
	return r->n_targets > 0 ? PM_OK : PM_TEMP; /* nobody has it */
}
