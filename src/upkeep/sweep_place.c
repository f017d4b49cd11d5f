/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Is the undo storage's mailbox the one that clients open? Settings cannot tell: %u beside %n, a
 * symbolic link, a bind mount, another order of servers. So both stores are asked where the mailbox
 * lies (box_place): at the start and after each reload for two made-up names, then for each account
 * before its mail is moved, or looked for there.
 *
 * No deletion depends on the answer: the messages themselves carry the proof (UNDO_MARK_MS). A
 * store that cannot tell where its mail is, or not now, is believed to have a place of its own.
 */
#include "upkeep/sweep_place.h"

#include <stdio.h>
#include <string.h>

#include "upkeep/undo.h"

/* ---- one account ----------------------------------------------------------------------------- */

int32_t
sweep_place_ask(struct sweep *s, int32_t (*then)(struct sweep *s, struct errand *e))
{
	struct sweep_box *b = &s->box;

	b->home = b->storage;
	b->place = (struct pm_str){NULL, 0};
	b->then = then;
	return sweep_go(s, SWEEP_PLACE);
}

static bool
sweep_place_same(struct pm_str a, struct pm_str b)
{
	return a.n == b.n && memcmp(a.p, b.p, a.n) == 0;
}

int32_t
sweep_place_step(struct sweep *s, struct errand *e)
{
	struct sweep_box *b = &s->box;
	bool first = !b->place.p;
	struct backend *at = first ? b->home : s->conf->undo->backend;
	struct pm_str place = {NULL, 0};
	int32_t rc =
		caller_enter(&e->caller, at, CALL_BEGIN, "box_place", at->limits.call_ms, &e->call);

	if (rc != PM_OK)
		return rc == PM_AGAIN ? rc : sweep_end_box(s, rc);
	rc = caller_done(&e->caller, host_box_place(at->inst, &e->call,
						    first ? &b->user : &b->undo_user, &place));
	if (rc == PM_OK && first) {
		b->place = place;
		return sweep_go(s, SWEEP_PLACE);
	}
	if (rc == PM_OK && sweep_place_same(place, b->place)) {
		snprintf(e->call.error, sizeof(e->call.error),
			 "undo_storage = %.60s: its mail is in the same place as that of "
			 "storage section %.60s; deleted mail needs one of its own",
			 s->conf->undo->name, b->home->section);
		return sweep_end_box(s, PM_EXISTS);
	}
	if (rc == PM_AGAIN)
		return caller_ask(&e->caller, at, CALL_CONTINUE);
	if (rc != PM_OK && s->order.unmarked)
		return sweep_end_box(s, rc); /* the messages do not say it either */
	return b->then(s, e);
}

/* ---- all sections ---------------------------------------------------------------------------- */

static const char *const made_up[] = {"a", "a@b.invalid"}; /* %u, %n and %d in all their forms */

int32_t
sweep_place_all(struct sweep *s, struct errand *e)
{
	struct sweep_box *b = &s->box;
	const char *name = made_up[s->page_at];

	for (; s->section < s->conf->n_storage; s->section++) {
		const struct conf_section *x = &s->conf->storage[s->section];

		if (x->only_wrapped || x->for_undo)
			continue;
		host_user_init(&b->user);
		b->user.name = b->user.key = (struct pm_str){name, strlen(name)};
		undo_user(&b->user, &b->undo_user);
		b->user.domain = b->undo_user.domain;
		b->storage = x->backend;
		s->page_at = (s->page_at + 1) % (sizeof(made_up) / sizeof(made_up[0]));
		s->section += s->page_at == 0;
		arena_reset(&e->arena);
		return sweep_place_ask(s, sweep_place_all);
	}
	return sweep_end(s, PM_OK);
}
