/* SPDX-License-Identifier: Apache-2.0 */
/*
 * walk - a name is looked up along the auth chain on behalf of restantectl, as find.h does it for
 * mail: but a section's answer is shown whatever it is, and one that hangs is left behind after
 * QUESTION_MS, so each is a question of its own. Threads: the verb's.
 */
#ifndef RST_ADMIN_WALK_H
#define RST_ADMIN_WALK_H

#include "account/lookup.h"
#include "admin/question.h"

struct walk {
	struct conf *conf;
	const char *name; /* as chain_name made it; borrowed */
	int next;         /* sections from here on have not been asked */
	/* the section asked last, and its answer, NULL: none in time. No section: none was left */
	const struct conf_section *at;
	struct question *q;
	const struct conf_section *blind; /* lookup.h */
	enum lookup_verdict verdict;      /* LOOKUP_NEXT: the search goes on */
};

void walk_begin(struct walk *w, struct conf *c, const char *name);
/* Asks the next section. False: the search has ended before, by the verdict. */
bool walk_next(struct walk *w);
void walk_end(struct walk *w);

#endif
