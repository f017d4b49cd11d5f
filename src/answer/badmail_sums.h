/* SPDX-License-Identifier: Apache-2.0 */
/*
 * badmail_sums - items of Badmail summed up: a group for each class, reason, code and sender's
 * domain. The server sums a page, restantectl the pages. Spam has as many domains as it likes, so
 * none of this is quadratic. Pure but for memory.
 */
#ifndef RST_ANSWER_BADMAIL_SUMS_H
#define RST_ANSWER_BADMAIL_SUMS_H

#include "answer/answers.h"

/* sums: an object, empty at first. */
void badmail_sums_add(json_t *sums, const struct answer_badmail_group *g);
/* The groups as a list, a new reference; takes the sums over. */
json_t *badmail_sums_list(json_t *sums);

#endif
