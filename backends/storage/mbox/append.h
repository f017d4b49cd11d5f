/* SPDX-License-Identifier: Apache-2.0 */
/* append - appending that survives a crash; under the MTA's locks. */
#ifndef MBOX_APPEND_H
#define MBOX_APPEND_H

#include "mbox.h"

/* What is appended: `lead` (what ends the file's last line, From_ line, head lines), the file
 * `name` in incoming/ of `size` bytes, an empty line. `list` goes to the ledger with it. */
struct append {
	const char *lead, *list, *name;
	size_t lead_n, list_n;
	int fd; /* of the file in incoming/ */
	uint64_t size;
};
/* 0 or an errno; *ret_torn: not all of it could be taken back, recovery will. */
int append_message(struct inst *i, const struct location *p, int fd, const struct append *a,
		   struct held *h, bool *ret_torn);
/* Finishes or takes back what a crash left; PM_OK: nothing is left. */
int32_t append_recover(struct inst *i, const struct pm_call *call, const struct location *p,
		       int fd);
/* The path a record in journal/ is about (PM_PATH_MAX + 1 bytes). False: it is none, or torn. */
bool append_path(struct inst *i, const char *name, char *path);
/* What nobody came back for. */
void append_sweep(struct inst *i);

#endif
