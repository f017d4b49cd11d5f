/* SPDX-License-Identifier: Apache-2.0 */
/* sweep_domain - the usage of a domain: our own count is set anew, stores that count domains
 * themselves are asked. */
#ifndef RST_UPKEEP_SWEEP_DOMAIN_H
#define RST_UPKEEP_SWEEP_DOMAIN_H

#include "upkeep/sweep_state.h"

/* Before the first mailbox of a count: changes from here on are noticed. False: changes are under
 * way that may be in their mailboxes or not; they must end first. */
bool sweep_domain_mark(struct sweep *s);
/* All of a domain were counted. PM_AGAIN: the sum is outdated, all of it again. */
int32_t sweep_domain_set(struct sweep *s);
/* The next storage section that counts domains itself, from s->section on; NULL: none. */
struct backend *sweep_domain_next(struct sweep *s);
/* The steps of the phases BOX_DOMAIN and DOMAINS. */
int32_t sweep_domain_of_box(struct sweep *s, struct errand *e);
int32_t sweep_domain_all(struct sweep *s, struct errand *e);

#endif
