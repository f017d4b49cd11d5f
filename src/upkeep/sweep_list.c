/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The way from mailbox to mailbox, on several lanes. One lane at a time lists: it takes the next
 * page, starts another lane that lists the page after it, and works through its own. A lane whose
 * page is done lists the next one, or ends if another lane is listing just now. So there are as
 * many lanes as there is work for, but no more than lanes_most, and nobody waits for anybody. The
 * last one does what comes after the list.
 */
#include "upkeep/sweep_list.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "account/chain.h"
#include "host/answer.h"
#include "mailbox/volume.h"
#include "upkeep/sweep_box.h"
#include "upkeep/sweep_domain.h"
#include "upkeep/sweep_undo.h"

#define LANES_MOST 16
#define LATER_MOST 10000 /* mailboxes that gave way and are tried once more */

/* ---- one mailbox ----------------------------------------------------------------------------- */

/* Counts the result of the mailbox at hand. */
void
sweep_list_count(struct sweep *s, const struct errand *e, int32_t rc)
{
	struct sweep_report *r = s->report;

	pthread_mutex_lock(s->mutex);
	if (s->order.user[0] || s->order.kind == SWEEP_TIDY ||
	    !s->conf->storage[s->section].for_undo)
		r->boxes++;
	if (rc == PM_NOENT)
		r->no_account++;
	else if (rc == PM_BUSY)
		r->busy++;
	else if (rc != PM_OK)
		r->failed++;
	if (rc != PM_OK && rc != PM_BUSY && rc != PM_NOENT)
		snprintf(r->error, sizeof(r->error), "%s: %s %s", s->box.name, host_code_name(rc),
			 e->call.error);
	pthread_mutex_unlock(s->mutex);
}

/* Whose mailbox is it? */
int32_t
sweep_list_lookup(struct sweep *s)
{
	find_begin(&s->box.find, s->conf, "ctl", "", false, s->box.name);
	return sweep_go(s, SWEEP_LOOKUP);
}

/* The mailbox of that key; false: it is passed over. *ret_rc: what its step returns. */
static bool
begin_box(struct sweep *s, struct errand *e, const struct pm_box *b, int32_t *ret_rc)
{
	bool undo = s->conf->storage[s->section].for_undo;

	sweep_box_free(&s->box);
	arena_reset(&e->arena);
	if (!(undo ? sweep_undo_name(s, b->key, b->key_len)
		   : chain_name(s->conf, b->key, b->key_len, s->box.name))) {
		sweep_list_count(s, e, PM_NOENT);
		return false;
	}
	if (s->order.domain[0]) {
		const char *at = strrchr(s->box.name, '@');

		if (!at || strcmp(at + 1, s->order.domain) != 0)
			return false; /* another domain's */
	}
	*ret_rc = undo ? sweep_undo_box(s, e) : sweep_list_lookup(s);
	return true;
}

/* ---- lanes ----------------------------------------------------------------------------------- */

unsigned
sweep_lanes(uint32_t permits)
{
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);
	/* two at least: one may wait for a disk */
	unsigned most = cpus > LANES_MOST ? LANES_MOST : cpus > 2 ? (unsigned)cpus : 2;

	/* half of the permits are for clients */
	return permits / 2 > most ? most : permits > 3 ? permits / 2 : 1;
}

/* Listing is over for this lane. May another one join it, in that section? Then it is counted, and
 * lists. */
static bool
may_start_lane(struct sweep *s, bool list_over)
{
	const struct conf_section *x = &s->conf->storage[s->section];
	bool may;

	pthread_mutex_lock(s->mutex);
	s->round->list_over = list_over;
	may = !list_over && s->round->lanes < sweep_lanes(x->backend->limits.permits);
	s->round->listing = may;
	s->round->lanes += may;
	pthread_mutex_unlock(s->mutex);
	return may;
}

/* The page was listed. Without a slot or memory for another lane this one lists again later. */
static void
pass_list_on(struct sweep *s, bool list_over)
{
	if (!may_start_lane(s, list_over) || sweep_lane_start(s))
		return;
	pthread_mutex_lock(s->mutex);
	s->round->listing = false;
	s->round->lanes--;
	pthread_mutex_unlock(s->mutex);
}

enum turn_of_lane { LANE_LISTS, LANE_LEAVES, LANE_IS_LAST };

static enum turn_of_lane
next_turn(struct sweep *s)
{
	struct sweep_round *r = s->round;
	enum turn_of_lane turn = LANE_IS_LAST;

	pthread_mutex_lock(s->mutex);
	if (!r->listing && !r->list_over) {
		r->listing = true;
		turn = LANE_LISTS;
	} else if (r->lanes > 1) {
		r->lanes--;
		s->left = true;
		turn = LANE_LEAVES;
	}
	pthread_mutex_unlock(s->mutex);
	return turn;
}

/* ---- mailboxes that gave way ----------------------------------------------------------------- */

struct sweep_later {
	struct sweep_later *next;
	size_t section;
	char name[PM_NAME_MAX + 1];
};

bool
sweep_list_again(struct sweep *s)
{
	struct sweep_round *r = s->round;
	struct sweep_later *l;

	if (s->order.user[0] || s->is_later || s->conf->storage[s->section].for_undo)
		return false;
	l = malloc(sizeof(*l));
	if (!l)
		return false;
	l->section = s->section;
	memcpy(l->name, s->box.name, sizeof(l->name));
	pthread_mutex_lock(s->mutex);
	if (r->n_later == LATER_MOST) {
		pthread_mutex_unlock(s->mutex);
		free(l);
		return false;
	}
	l->next = r->later;
	r->later = l;
	r->n_later++;
	pthread_mutex_unlock(s->mutex);
	return true;
}

/* The last lane's: one of them once more. False: there is none. */
static bool
begin_later(struct sweep *s, struct errand *e)
{
	struct sweep_later *l = s->round->later;

	if (!l)
		return false;
	s->round->later = l->next;
	s->is_later = true;
	s->section = l->section;
	sweep_box_free(&s->box);
	arena_reset(&e->arena);
	memcpy(s->box.name, l->name, sizeof(s->box.name));
	free(l);
	(void)sweep_list_lookup(s);
	return true;
}

/* ---- pages ----------------------------------------------------------------------------------- */

/* Is there anything to do for this sweep in that section? */
static bool
goes_to(const struct sweep *s, const struct conf_section *x)
{
	if (x->only_wrapped)
		return false;
	if (s->order.kind == SWEEP_TIDY)
		return x->for_undo;
	return s->order.kind == SWEEP_EXPIRE || !x->for_undo;
}

/* Moves *section on to the first one from there; NULL: there is none. */
static struct backend *
next_section(const struct sweep *s, size_t *section)
{
	while (*section < s->conf->n_storage && !goes_to(s, &s->conf->storage[*section]))
		++*section;
	return *section < s->conf->n_storage ? s->conf->storage[*section].backend : NULL;
}

bool
sweep_list_first(struct sweep *s)
{
	struct sweep_round *r = s->round;

	r->section = 0;
	r->cursor_n = 0;
	r->listing = true;
	r->list_over = false;
	s->page_n = s->page_at = 0;
	return next_section(s, &r->section) != NULL;
}

/* One page of the section at hand. */
static int32_t
list_page(struct sweep *s, struct errand *e, struct backend *b)
{
	struct sweep_round *r = s->round;
	int32_t rc;

	for (size_t i = 0; i < SWEEP_PAGE; i++)
		s->page[i] = (struct pm_box){.size = sizeof(struct pm_box)};
	s->page_n = s->page_at = 0;
	rc = volume_find(b->vol, NULL, e->call.error, sizeof(e->call.error));
	if (rc != PM_OK)
		return rc;
	return caller_done(&e->caller,
			   host_box_list(b->inst, &e->call, (struct pm_str){r->cursor, r->cursor_n},
					 SWEEP_PAGE, s->page, &s->page_n));
}

static void
note_list_failed(struct sweep *s, const struct errand *e, const struct backend *b, int32_t rc)
{
	pthread_mutex_lock(s->mutex);
	s->report->failed++;
	snprintf(s->report->error, sizeof(s->report->error),
		 rc == PM_UNSUPPORTED
			 ? "storage section %s cannot list its mailboxes: name the users "
			   "one by one. %s"
			 : "storage section %s: its mailboxes cannot be listed: %s",
		 b->section, e->call.error);
	pthread_mutex_unlock(s->mutex);
}

/* Where the next page begins. */
static void
move_cursor(struct sweep *s, bool last_page)
{
	struct sweep_round *r = s->round;

	if (s->page_n > 0) {
		const struct pm_box *last = &s->page[s->page_n - 1];

		r->cursor_n = last->cursor_len;
		memcpy(r->cursor, last->cursor, r->cursor_n);
	}
	if (last_page) {
		r->section++;
		r->cursor_n = 0;
	}
}

int32_t
sweep_list_step(struct sweep *s, struct errand *e)
{
	struct sweep_round *r = s->round;
	struct backend *b = next_section(s, &r->section);
	int32_t rc;

	rc = caller_enter(&e->caller, b, CALL_BEGIN, "box_list", b->limits.scan_ms, &e->call);
	if (rc == PM_AGAIN)
		return rc;
	if (!sweep_domain_mark(s))
		return PM_AGAIN;
	s->section = r->section;
	if (rc == PM_OK)
		rc = list_page(s, e, b);
	if (rc == PM_AGAIN)
		return caller_ask(&e->caller, b, CALL_CONTINUE);
	if (rc != PM_OK) {
		s->page_n = 0;
		note_list_failed(s, e, b, rc);
	}
	move_cursor(s, rc != PM_OK || s->page_n < SWEEP_PAGE);
	pass_list_on(s, next_section(s, &r->section) == NULL);
	return sweep_list_go_on(s, e);
}

/* ---- on ------------------------------------------------------------------------------------- */

/* All of it again. */
static int32_t
begin_again(struct sweep *s)
{
	pthread_mutex_lock(s->mutex);
	s->report->boxes = s->report->messages = s->report->octets = 0;
	pthread_mutex_unlock(s->mutex);
	s->round->marked = false;
	s->round->settle_waits = 0;
	return sweep_list_first(s) ? sweep_go(s, SWEEP_LIST) : sweep_end(s, PM_OK);
}

/* All mailboxes were looked at, and this is the last lane. */
static int32_t
end_list(struct sweep *s, struct errand *e)
{
	int32_t rc;

	if (begin_later(s, e))
		return PM_OK;
	rc = s->order.kind == SWEEP_RECOUNT ? sweep_domain_set(s) : PM_OK;
	if (rc == PM_AGAIN)
		return begin_again(s);
	if (rc != PM_OK || s->order.kind != SWEEP_RECOUNT)
		return sweep_end(s, rc);
	s->section = 0;
	return sweep_go(s, SWEEP_DOMAINS);
}

/* Has another lane been told to end? */
static int32_t
round_code(struct sweep *s)
{
	int32_t rc;

	pthread_mutex_lock(s->mutex);
	rc = s->round->rc;
	pthread_mutex_unlock(s->mutex);
	return rc;
}

int32_t
sweep_list_go_on(struct sweep *s, struct errand *e)
{
	int32_t rc = caller_should_end(&e->caller) ? PM_CANCELLED : round_code(s);

	if (rc != PM_OK)
		return sweep_end(s, rc);
	while (s->page_at < s->page_n)
		if (begin_box(s, e, &s->page[s->page_at++], &rc))
			return rc;
	switch (next_turn(s)) {
	case LANE_LISTS:
		return sweep_go(s, SWEEP_LIST);
	case LANE_LEAVES:
		return sweep_end(s, PM_OK);
	default:
		return end_list(s, e);
	}
}

void
sweep_list_free(struct sweep_round *r)
{
	struct sweep_later *l;

	while (r && (l = r->later)) {
		r->later = l->next;
		free(l);
	}
	free(r);
}
