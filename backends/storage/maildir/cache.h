/* SPDX-License-Identifier: Apache-2.0 */
/* cache - snapshots of unchanged mailboxes. */
#ifndef MAILDIR_CACHE_H
#define MAILDIR_CACHE_H

#include "maildir.h"

struct cache *cache_new(uint64_t max_messages);
void cache_free(struct cache *c);
/* Takes the snapshot of this directory out of the cache. NULL: there is none that is still true. */
struct snap *cache_take(struct cache *c, const struct snap *now);
/* Gives a snapshot to the cache, which may free it. */
void cache_give(struct cache *c, struct snap *s);

#endif
