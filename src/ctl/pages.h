/* SPDX-License-Identifier: Apache-2.0 */
/* pages - an answer of badmail in pages: each tells where the next begins. */
#ifndef RST_CTL_PAGES_H
#define RST_CTL_PAGES_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "ctl/options.h"

struct pages {
	const struct ctl *c;
	json_t *question; /* borrowed; "after" in it is ours */
	uint64_t read;    /* sidecars, in all pages so far */
	bool end;         /* there are no more pages */
	int rc;           /* the exit code */
};

/* after: where to begin; NULL: at the beginning. */
void pages_begin(struct pages *p, const struct ctl *c, json_t *question, const char *after);
/* At most so many items in the next page. */
void pages_limit(struct pages *p, uint64_t n);
/* A page, a new reference; NULL: there is none, and why was printed. */
json_t *pages_next(struct pages *p);
/* Where to go on, in the question; NULL: there are no more pages. */
const char *pages_after(const struct pages *p);
/* Shows the answer made of them, which is taken over, unless one of them failed. The exit code. */
int pages_show(const struct pages *p, json_t *answer, void (*view)(const json_t *answer));

#endif
