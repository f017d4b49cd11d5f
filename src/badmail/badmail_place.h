/* SPDX-License-Identifier: Apache-2.0 */
/*
 * badmail_place - where an item lies on disk: its files, their directories, and which item is the
 * next.
 *
 * IDs count up and give the directories: 256 items in each, 256 of those in one of the level above.
 * So the next item is found by asking for names, without reading a directory.
 */
#ifndef RST_BADMAIL_BADMAIL_PLACE_H
#define RST_BADMAIL_BADMAIL_PLACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <restante/module.h>

#include "badmail/badmail_id.h"
#include "conf/conf.h"

#define BADMAIL_OVERHEAD 1024 /* octets an item counts beside its message: the sidecar */
#define BADMAIL_PATH_MAX (PM_PATH_MAX + 64)

/* suffix: ".eml", ".json". */
void badmail_place_item(const struct conf_badmail *b, enum badmail_class cls, uint64_t id,
			const char *suffix, char *buf, size_t cap);
/* A file of tmp/ that no other call gets: by process, and by number within it. */
void badmail_place_tmp(const struct conf_badmail *b, const char *suffix, char *buf, size_t cap);
/* Removes files of tmp/ whose process has ended. */
void badmail_place_sweep_tmp(const struct conf_badmail *b);

/* Mail that cannot be looked at now was promised all the same: only ENOENT is "not there". */
enum badmail_there {
	BADMAIL_ABSENT,
	BADMAIL_THERE,
	BADMAIL_UNSURE /* errno: EIO, ESTALE, EACCES ... */
};

enum badmail_there badmail_place_look(const char *path);
/* A directory's names, durable. */
bool badmail_place_sync(const char *path);

/* The first item at or after `id`, before `end`. False: none. *ret_unsure: something on the way
 * could not be looked at, and was passed over. Looks at names, not into files. No lock is needed
 * for a look. */
bool badmail_place_next(const struct conf_badmail *b, enum badmail_class cls, uint64_t id,
			uint64_t end, uint64_t *ret_id, bool *ret_unsure);
/* Octets an item counts, and when its message was written, if it is there. */
enum badmail_there badmail_place_stat(const struct conf_badmail *b, enum badmail_class cls,
				      uint64_t id, uint64_t *octets, int64_t *time_ms);

/* The directories of the store. False: errno has why. */
bool badmail_place_make_all(const struct conf_badmail *b);
/* Those of one item, durable. Under the store's lock, as badmail_place_drop. */
bool badmail_place_make(const struct conf_badmail *b, enum badmail_class cls, uint64_t id);
/* Those of one item, if they are empty: under the lock nobody is about to put something into
 * them. */
void badmail_place_drop(const struct conf_badmail *b, enum badmail_class cls, uint64_t id);

#endif
