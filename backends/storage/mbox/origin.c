/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ledger, index and journal of a mailbox are found by the hash of its path, and a message by a hash
 * that depends on the format. With another path or format the server starts with empty hands:
 * nothing is lost, but hidden mail is visible again, and clients fetch imported mail again. That is
 * said aloud, once.
 */
#include "origin.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "bytes.h"
#include "mbox.h"
#include "say.h"

#define NAME_MAX_N 255

/* Reads the file; empty when there is none, or it is torn. */
static void
origin_read(const struct inst *i, const char *name, char *text, size_t cap)
{
	int fd = openat(i->state, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	ssize_t n = fd != -1 ? pread(fd, text, cap - 1, 0) : 0;

	if (fd != -1)
		(void)close(fd);
	text[n > 0 ? n : 0] = '\0';
	if (n <= 0 || text[n - 1] != '\n')
		text[0] = '\0';
}

static void
origin_write(const struct inst *i, const char *name, const char *text)
{
	char fresh[NAME_MAX_N + 8];
	int fd, e;

	snprintf(fresh, sizeof(fresh), "%s.new", name);
	fd = openat(i->state, fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	e = fd == -1 ? errno : bytes_write(fd, text, strlen(text), 0);
	if (fd != -1)
		(void)close(fd);
	if (e == 0 && renameat(i->state, fresh, i->state, name) != 0)
		e = errno;
	if (e != 0)
		sdk_log(i->host, PM_LOG_WARNING,
			"mbox/%s of the state directory cannot be written: %s", name,
			strerrordesc_np(e));
}

void
origin_look(struct inst *i)
{
	char name[NAME_MAX_N], was[PM_PATH_MAX + 64], now[PM_PATH_MAX + 64];

	if (snprintf(name, sizeof(name), "section.%s", i->section) >= (int)sizeof(name) ||
	    strchr(name, '/') ||
	    snprintf(now, sizeof(now), "%s %s\n", i->rd ? "mboxrd" : "mboxo", i->pattern) >=
		    (int)sizeof(now))
		return;
	origin_read(i, name, was, sizeof(was));
	if (strcmp(was, now) == 0)
		return;
	if (was[0])
		sdk_log(i->host, PM_LOG_WARNING,
			"format and path were '%.*s' and are '%.*s'. Unless they lead to the same "
			"files, "
			"what is remembered of the mailboxes belongs to the old ones: hidden mail "
			"is "
			"visible again, imported and repeated messages get other unique-ids, with "
			"another format others do, too. With the old settings all of it is as it "
			"was",
			(int)strlen(was) - 1, was, (int)strlen(now) - 1, now);
	origin_write(i, name, now);
}
