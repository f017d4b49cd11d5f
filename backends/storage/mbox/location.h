/* SPDX-License-Identifier: Apache-2.0 */
/* location - where a mailbox is, and opening it. */
#ifndef MBOX_LOCATION_H
#define MBOX_LOCATION_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include <restante/module.h>

#include "totals.h"

struct held;
struct inst;

#define KEY_N 40 /* a mailbox' name in the state directory: hex of its path's hash */

/* The place of one user's mailbox. */
struct location {
	char path[PM_PATH_MAX + 1];
	char key[KEY_N + 1];
	unsigned char sum[32]; /* SHA-256 of path */
};

int32_t location_make(struct inst *i, const struct pm_call *call, const struct pm_user *u,
		      struct location *ret);
/* The same for a known path. False: no memory. */
bool location_of_path(const char *path, struct location *ret);
/* Opens the file that has the name now, and takes the MTA's locks on it. *fd is -1, or the file as
 * it was before, which is closed when it is another one. PM_AGAIN: not yet. PM_OK with -1: there is
 * no file, and no lock. */
int32_t location_lock(struct inst *i, const struct pm_call *call, const struct location *p,
		      bool create, int *fd, struct held *h);
/* Makes the names on the way to a mailbox durable. 0 or an errno. */
int location_sync(const struct inst *i, const struct location *p);
/* For totals. */
struct sdk_box location_box(const struct location *p);
/* PM_OK, PM_NOSPACE, PM_PERM or PM_TEMP. */
int32_t location_code(int e);

#endif
