/* SPDX-License-Identifier: Apache-2.0 */
/* append - appending that survives a crash; under the MTA's locks. */
#ifndef MBOX_APPEND_H
#define MBOX_APPEND_H

#include "mbox.h"

/* One message to append: `lead` (the end of the file's last line, From_ line, head lines), the file
 * `name` in incoming/ of `size` bytes, and an empty line. `list` goes to the ledger with it. */
struct append {
	const char *lead, *list, *name;
	size_t lead_n, list_n;
	int fd; /* of the file in incoming/ */
	uint64_t size;
};
/* Appends a message. 0 or an errno; *ret_torn: not all of it could be taken back, but recovery will
 * do it. */
int append_message(struct inst *i, const struct location *p, int fd, const struct append *a,
		   struct held *h, bool *ret_torn);
/* Finishes or takes back an append that a crash interrupted. PM_OK: nothing is left; PM_AGAIN: *cut
 * is the journal that runs. */
int32_t append_recover(struct inst *i, const struct pm_call *call, const struct location *p, int fd,
		       struct held *held, struct journal **cut);
/* Gives the path of the mailbox of a record in journal/ (PM_PATH_MAX + 1 bytes). False: it is not a
 * record, or torn. */
bool append_path(struct inst *i, const char *name, char *path);
/* Removes files in incoming/ that nobody came back for. */
void append_sweep(struct inst *i);

#endif
