/* SPDX-License-Identifier: Apache-2.0 */
#include "held.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "find.h"
#include "maildir.h"
#include "name.h"
#include "octets.h"
#include "same.h"
#include "say.h"
#include "snap.h"

void
held_free(struct twins *t)
{
	struct held *h, *next;

	HASH_ITER (hh, t->read, h, next) {
		HASH_DEL(t->read, h);
		free(h);
	}
	ledger_out_free(&t->learnt);
}

struct look
held_look(const struct stat *st)
{
	return (struct look){st->st_dev, st->st_ino, (uint64_t)st->st_size,
			     (uint64_t)st->st_mtim.tv_sec * 1000000000u +
				     (uint64_t)st->st_mtim.tv_nsec};
}

/* Opens an item's file, and finds it again if another reader renamed it. -1: errno. */
static int
open_item(const struct source *src, struct item *it)
{
	char path[300];
	int fd = -1;

	for (int tries = 0; tries < RELOCATE_TRIES && fd == -1; tries++) {
		name_path(src->s, it, path, sizeof(path));
		fd = openat(src->fd, path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
		if (fd == -1 && (errno != ENOENT || (errno = find_again(src->fd, src->s, it)) != 0))
			break;
	}
	return fd;
}

static bool
held_looks_like(int fd, const struct look *look)
{
	struct look now;
	struct stat st;

	if (fstat(fd, &st) != 0)
		return false;
	now = held_look(&st);
	return memcmp(&now, look, sizeof(now)) == 0;
}

int32_t
held_failed(const struct source *src, int e)
{
	if (src->call)
		sdk_error(src->call, "reading messages that share a name: %s", strerrordesc_np(e));
	return e == ENOMEM ? PM_NOMEM : PM_TEMP;
}

int32_t
held_get(const struct source *src, struct item *it, const struct look *look,
	 const struct held **ret)
{
	struct sdk_octets octets = {0};
	struct held *h;
	int fd, e;

	HASH_FIND(hh, src->twins->read, look, sizeof(*look), h);
	*ret = h;
	if (h)
		return PM_OK;
	if (src->twins->reads++ > 0 && maildir_now(src->inst) >= src->until_ms)
		return PM_AGAIN;
	h = calloc(1, sizeof(*h));
	if (!h)
		return PM_NOMEM;
	h->look = *look;
	fd = open_item(src, it);
	if (fd != -1 && !held_looks_like(fd, look)) {
		(void)close(fd);
		free(h);
		return PM_AGAIN; /* it was replaced a moment ago */
	}
	e = fd != -1 && same_read(fd, h->content, &octets) ? 0 : errno;
	if (fd != -1)
		(void)close(fd);
	if (e == EMFILE || e == ENFILE || e == ENOMEM) {
		free(h);
		return held_failed(src, e);
	}
	if (e != 0)
		snprintf(h->content, sizeof(h->content), SAME_UNREAD);
	h->octets = e == 0 ? sdk_octets_total(&octets) : UNKNOWN_OCTETS;
	HASH_ADD(hh, src->twins->read, look, sizeof(h->look), h);
	*ret = h;
	return PM_OK;
}
