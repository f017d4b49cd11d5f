/* SPDX-License-Identifier: Apache-2.0 */
/* Writing an item while it is received, and the door. */
#include "badmail/badmail.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "badmail/badmail_item.h"
#include "badmail/badmail_place.h"
#include "badmail/badmail_seen.h"
#include "badmail/badmail_store.h"
#include "base/clock.h"
#include "base/kill.h"
#include "base/log.h"
#include "base/stats.h"
#include "mailbox/volume.h"

struct badmail {
	struct conf *conf; /* one reference */
	int fd;
	uint64_t octets;
	uint64_t mount; /* the volume's, when it was begun */
	bool failed, synced;
	char path[BADMAIL_PATH_MAX];
};

struct backend *
badmail_backend(const struct conf *c)
{
	return c->badmail.backend;
}

bool
badmail_door(const struct conf *c, uint64_t octets, char *ret_text, size_t cap)
{
	struct badmail_state s;

	if (!c->badmail.path) {
		if (ret_text)
			snprintf(ret_text, cap,
				 "there is no badmail block: what a store cannot take now is not "
				 "accepted");
		return false;
	}
	if (badmail_seen_get(&s, NULL) &&
	    badmail_store_retry_full(&c->badmail, &s, octets + BADMAIL_OVERHEAD)) {
		stat_add(STAT_DOOR_CLOSED, 1);
		if (ret_text)
			snprintf(ret_text, cap,
				 "badmail: %" PRIu64 " accepted messages of %" PRIu64
				 " octets wait for their stores, "
				 "half of the bound",
				 s.cls[BADMAIL_RETRY].items, s.cls[BADMAIL_RETRY].octets);
		return false;
	}
	return volume_check(c->badmail.vol, octets, ret_text, cap) == VOLUME_OK;
}

/* ---- writing --------------------------------------------------------------------------------- */

static int32_t
badmail_disk_code(int e, const char *path, char *text)
{
	if (text)
		snprintf(text, 200, "badmail: cannot write %.120s: %s", path, strerrordesc_np(e));
	return e == ENOSPC || e == EDQUOT  ? PM_NOSPACE
	       : e == EACCES || e == EROFS ? PM_PERM
					   : PM_TEMP;
}

/* The directories are made with the store's first lock. */
static int
open_tmp(struct badmail *b, char *text, int32_t *ret_rc)
{
	struct badmail_store st;

	b->fd = open(b->path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (b->fd == -1 && errno == ENOENT) {
		*ret_rc = badmail_store_lock(b->conf, &st, text);
		if (*ret_rc != PM_OK)
			return -1;
		(void)badmail_store_unlock(
			&st); /* if the disk is full, the next write reports it */
		/* its first name was of a directory that was not there */
		badmail_place_tmp(&b->conf->badmail, ".eml", b->path, sizeof(b->path));
		b->fd = open(b->path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	}
	if (b->fd == -1)
		*ret_rc = badmail_disk_code(errno, b->path, text);
	return b->fd;
}

int32_t
badmail_begin(const struct conf *c, struct badmail **ret, char *ret_text)
{
	uint64_t mount = 0;
	int32_t rc = volume_enter(c->badmail.vol, 0, &mount, ret_text, 200);
	struct badmail *b;

	if (rc != PM_OK)
		return rc;
	b = calloc(1, sizeof(*b));
	if (!b)
		return PM_NOMEM;
	b->conf = conf_ref((struct conf *)(uintptr_t)c);
	b->mount = mount;
	badmail_place_tmp(&c->badmail, ".eml", b->path, sizeof(b->path));
	if (open_tmp(b, ret_text, &rc) == -1) {
		conf_put(b->conf);
		free(b);
		return rc;
	}
	KILL_POINT("badmail: begun");
	*ret = b;
	return PM_OK;
}

int32_t
badmail_write(struct badmail *b, const void *buf, size_t n)
{
	const char *p = buf;

	if (b->failed || b->synced)
		return PM_INVALID;
	while (n > 0) {
		ssize_t w = write(b->fd, p, n);

		if (w < 0 && errno == EINTR)
			continue;
		if (w <= 0) {
			b->failed = true;
			return badmail_disk_code(w < 0 ? errno : ENOSPC, b->path, NULL);
		}
		p += w;
		n -= (size_t)w;
		b->octets += (uint64_t)w;
	}
	return PM_OK;
}

/* Makes the names of an item that was moved in durable. */
static bool
sync_item(const struct conf_badmail *b, enum badmail_class cls, uint64_t id)
{
	char path[BADMAIL_PATH_MAX];

	badmail_place_item(b, cls, id, "", path, sizeof(path));
	*strrchr(path, '/') = '\0';
	return badmail_place_sync(path);
}

static int32_t
move_in(struct badmail *b, const struct badmail_item *item, const char *json, uint64_t *ret_id,
	char *text)
{
	struct badmail_store st;
	int32_t rc = badmail_store_lock(b->conf, &st, text);

	if (rc != PM_OK)
		return rc;
	rc = badmail_store_insert(&st, item->cls, b->path, json, b->octets + BADMAIL_OVERHEAD,
				  ret_id, text);
	badmail_store_warn(&st);
	if (rc == PM_OK)
		stat_add(item->cls == BADMAIL_RETRY ? STAT_KEPT_RETRY : STAT_KEPT_REFUSED, 1);
	else if (item->cls == BADMAIL_RETRY && rc == PM_NOSPACE)
		stat_add(STAT_DOOR_CLOSED, 1);
	(void)badmail_store_unlock(&st); /* the item is in: `pending` tells the next caller */
	if (rc != PM_OK)
		return rc;
	rc = sync_item(&b->conf->badmail, item->cls, *ret_id)
		     ? PM_OK
		     : badmail_disk_code(errno, b->conf->badmail.path, text);
	if (rc == PM_OK)
		rc = volume_stayed(b->conf->badmail.vol, b->mount, text, 200);
	if (rc == PM_OK)
		return PM_OK;
	if (badmail_store_lock(b->conf, &st, NULL) == PM_OK) {
		/* it was not promised, so it may not stay either */
		(void)badmail_store_remove(&st, item->cls, *ret_id, PENDING_REMOVE);
		(void)badmail_store_unlock(&st);
	}
	return rc;
}

int32_t
badmail_commit(struct badmail *b, const struct badmail_item *item, char *ret_id, char *ret_text)
{
	int64_t now = wall_ms(),
		next = item->cls == BADMAIL_RETRY ? now + b->conf->badmail.retry_first_ms : now;
	char json[BADMAIL_PATH_MAX];
	json_t *j;
	uint64_t id = 0;
	int32_t rc;
	int e;

	if (b->failed || item->n_rcpts == 0)
		return PM_INVALID;
	if (!b->synced && fsync(b->fd) != 0) {
		b->failed = true;
		return badmail_disk_code(errno, b->path, ret_text);
	}
	if (!b->synced)
		volume_wrote(b->conf->badmail.vol, b->octets, PM_OK);
	b->synced = true;
	KILL_POINT("badmail: message durable");
	j = badmail_item_json(item, b->octets, now, next);
	if (!j)
		return PM_NOMEM;
	badmail_place_tmp(&b->conf->badmail, ".json", json, sizeof(json));
	e = badmail_item_write(j, json, next);
	json_decref(j);
	if (e != 0)
		return badmail_disk_code(e, json, ret_text);
	KILL_POINT("badmail: sidecar durable");
	rc = move_in(b, item, json, &id, ret_text);
	if (rc != PM_OK)
		(void)unlink(json); /* it may have been moved and removed */
	else if (ret_id)
		badmail_id_format(item->cls, id, ret_id);
	KILL_POINT("badmail: committed");
	return rc;
}

void
badmail_end(struct badmail *b)
{
	if (!b)
		return;
	(void)close(b->fd);
	/* items have links of their own; a file that stays is swept after this process has ended */
	(void)unlink(b->path);
	conf_put(b->conf);
	free(b);
}
