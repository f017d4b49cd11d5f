/* SPDX-License-Identifier: Apache-2.0 */
/*
 * badmail_lost - halves of items, set aside in lost/: a message without its sidecar, or a sidecar
 * without its message. A crash of the machine leaves them: of mail that nobody was promised yet,
 * and, on a disk that lost a name, of mail that was. They are not counted, tried or removed.
 */
#ifndef RST_BADMAIL_BADMAIL_LOST_H
#define RST_BADMAIL_BADMAIL_LOST_H

#include <stdbool.h>

#include "badmail/badmail_id.h"
#include "conf/conf.h"

#define BADMAIL_LOST_MAX 1000 /* files in lost/; halves beyond that stay where they are */

/* One count's. Zeroed except conf. */
struct badmail_lost {
	const struct conf_badmail *conf;
	bool begun;
	unsigned there; /* files in lost/ */
	unsigned moved, left;
};

/* Moves a file of the open bucket. Under the store's lock. */
void badmail_lost_keep(struct badmail_lost *l, enum badmail_class cls, int dirfd, const char *name);
/* A line in the log if there were any. */
void badmail_lost_tell(const struct badmail_lost *l);

#endif
