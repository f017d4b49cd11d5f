/* SPDX-License-Identifier: Apache-2.0 */
/*
 * caches - all credential caches in use, so that a user can be forgotten wherever it is remembered.
 * A cache belongs to the backend of an auth section and goes with it.
 */
#ifndef RST_ACCOUNT_CACHES_H
#define RST_ACCOUNT_CACHES_H

#include <stdbool.h>

#include <restante/module.h>

#include "account/credcache.h"
#include "module/backend.h"

/* Main, before b is shared: b->cache is c from now on, and is freed when b is closed. False: no
 * memory; c is freed. */
bool caches_add(struct backend *b, struct credcache *c);
/* Any thread: forgets the cached credentials of a user (empty name: of all) that came from this
 * section, directly or through one that wraps it; NULL: from any. */
void caches_forget(const char *section, struct pm_str name);

#endif
