/* SPDX-License-Identifier: Apache-2.0 */
/* badmail_resolve - the accounts that a recipient means by now. */
#ifndef RST_BADMAIL_BADMAIL_RESOLVE_H
#define RST_BADMAIL_BADMAIL_RESOLVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>
#include <restante/module.h>

#include "account/find.h"
#include "conf/conf.h"
#include "module/errand.h"

/* A search for the accounts that a recipient's mail goes to now. One owner. */
struct badmail_resolve {
	struct find find;            /* of the name, or of the alias' next target */
	json_t *targets;             /* the alias'; NULL: it is none */
	size_t at;                   /* which of them */
	bool keeps;                  /* the alias is a mailbox, too */
	json_t *addresses;           /* result, for an alias: the addresses for Delivered-To */
	json_t *names;               /* ... and the accounts; else find.who.name is the account */
	char text[PM_ERROR_MAX + 1]; /* why not */
};

/* r is zeroed; name: normalised. */
void badmail_resolve_begin(struct badmail_resolve *r, struct conf *c, const char *name);
/* Entered from the errand's run until it returns anything but PM_AGAIN. PM_OK; else r->text has why
 * not. */
int32_t badmail_resolve_step(struct badmail_resolve *r, struct errand *e);
/* After an alias was found: its targets take the place of recipient `at` of the item, but for those
 * that are among the recipients already. False: no memory, and the item in memory must not be
 * used. */
bool badmail_resolve_put(const struct badmail_resolve *r, json_t *item, size_t at);
void badmail_resolve_fini(struct badmail_resolve *r);

#endif
