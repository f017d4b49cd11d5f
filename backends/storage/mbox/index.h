/* SPDX-License-Identifier: Apache-2.0 */
/* index - the short form of a snapshot on disk. */
#ifndef MBOX_INDEX_H
#define MBOX_INDEX_H

#include <sys/stat.h>

#include "snap.h"

struct inst;
struct location;

/* Called under the MTA's locks. Nothing is saved when a later change might not show in the file's
 * times. */
void index_save(struct inst *i, const struct location *p, int fd, const struct snap *s);
void index_drop(const struct inst *i, const struct location *p);
enum index_is { INDEX_USELESS, INDEX_SHORTER, INDEX_SAME };
/* SHORTER: the file has grown since, whatever else happened to it. */
enum index_is index_load(struct inst *i, const struct location *p, const struct stat *now,
			 struct snap *s);

#endif
