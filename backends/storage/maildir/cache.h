/* SPDX-License-Identifier: Apache-2.0 */
/* cache - snapshots of unchanged mailboxes. */
#ifndef MAILDIR_CACHE_H
#define MAILDIR_CACHE_H

#include "maildir.h"

struct cache *cache_new(uint64_t max_messages);
void cache_free(struct cache *c);
/* The snapshot of this directory, taken out; NULL: none that is still true. */
struct snap *cache_take(struct cache *c, const struct snap *now);
/* Gives it to the cache, or frees it. */
void cache_give(struct cache *c, struct snap *s);

#endif
