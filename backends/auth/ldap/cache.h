/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cache - what the directory said a while ago. Of names and passwords only keyed digests are kept, with a key that
 * is made at open and never leaves the process. As many places as were asked for at open, and no more.
 */
#ifndef LDAP_CACHE_H
#define LDAP_CACHE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <restante/module.h>

#include "account.h"

struct cache *cache_new(size_t places); /* NULL: no memory, or no randomness */
void cache_free(struct cache *c);

/* The account that this name and password opened at since_ms or later, with a reference; or NULL. */
struct account *cache_accepted(struct cache *c, struct pm_str name, struct pm_str secret, int64_t since_ms);

/* Was this very pair refused at since_ms or later? *ret_unknown: because nobody has the name. */
bool cache_refused(struct cache *c, struct pm_str name, struct pm_str secret, int64_t since_ms, bool *ret_unknown);

/* What the directory said now. An older opposite word is forgotten. */
void cache_accept(struct cache *c, struct pm_str name, struct pm_str secret, struct account *acc, int64_t now_ms);
void cache_refuse(struct cache *c, struct pm_str name, struct pm_str secret, bool unknown, int64_t now_ms);

/* This pair is not to be let in any more, and not worth a place either. */
void cache_forget(struct cache *c, struct pm_str name, struct pm_str secret);

#endif
