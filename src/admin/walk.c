/* SPDX-License-Identifier: Apache-2.0 */
#include "admin/walk.h"

#include "account/chain.h"
#include "conf/conf.h"

void
walk_begin(struct walk *w, struct conf *c, const char *name)
{
	*w = (struct walk){.conf = c, .name = name, .verdict = LOOKUP_NEXT};
}

static void
walk_ask(struct walk *w)
{
	w->q = question_new(w->name);
	if (w->q && question_ask(w->q, QUESTION_LOOKUP, w->conf, w->at->backend, QUESTION_MS)) {
		w->verdict = lookup_judge(w->q->rc, w->at, &w->blind);
		return;
	}
	walk_end(w);
	w->verdict = LOOKUP_CANNOT_TELL;
}

bool
walk_next(struct walk *w)
{
	int i;

	if (w->verdict != LOOKUP_NEXT)
		return false;
	walk_end(w);
	i = chain_next(w->conf, w->name, w->next);
	if (i < 0) {
		w->at = NULL;
		w->verdict = lookup_end(w->blind);
		return false;
	}
	w->at = &w->conf->auth[i];
	w->next = i + 1;
	walk_ask(w);
	return true;
}

void
walk_end(struct walk *w)
{
	question_put(w->q);
	w->q = NULL;
}
