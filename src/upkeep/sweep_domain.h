/* SPDX-License-Identifier: Apache-2.0 */
/* sweep_domain - what a domain holds: the count of our own is set anew, stores that count
 * themselves are asked. */
#ifndef RST_UPKEEP_SWEEP_DOMAIN_H
#define RST_UPKEEP_SWEEP_DOMAIN_H

#include "upkeep/sweep_state.h"

/* Before the first mailbox of a count: changes from here on are noticed. False: what is under way,
 * and may be in its mailbox or not, is to end first. */
bool sweep_domain_mark(struct sweep *s);
/* All of a domain were counted. PM_AGAIN: it is not true any more, all of it once more. */
int32_t sweep_domain_set(struct sweep *s);
/* The next storage section that counts domains itself, from s->section on; NULL: none. */
struct backend *sweep_domain_next(struct sweep *s);
/* The steps of the phases BOX_DOMAIN and DOMAINS. */
int32_t sweep_domain_of_box(struct sweep *s, struct errand *e);
int32_t sweep_domain_all(struct sweep *s, struct errand *e);

#endif
