/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Items on disk and the totals over them.
 *
 * Every change is made under the lock of the state file, and named in it before it begins:
 * `pending` tells which item is being moved in or taken out. A process that finds it set looks
 * whether that item's sidecar is there, and the totals are right again. So they survive kill -9 at
 * any point without counting. After a crash of the machine (another boot) nothing is trusted, and
 * all items are counted.
 */
#include "badmail/badmail_store.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "badmail/badmail_count.h"
#include "badmail/badmail_place.h"
#include "badmail/badmail_seen.h"
#include "base/clock_note.h"
#include "base/kill.h"
#include "base/log.h"
#include "mailbox/volume.h"

#define WARN_PERCENT 80

static int32_t
code_of(int e)
{
	return e == ENOSPC || e == EDQUOT                ? PM_NOSPACE
	       : e == EACCES || e == EPERM || e == EROFS ? PM_PERM
							 : PM_TEMP;
}

static int32_t
badmail_store_fail(char *text, const char *what, const char *path)
{
	int e = errno;

	if (text)
		snprintf(text, 200, "badmail: %s %.120s: %s", what, path, strerrordesc_np(e));
	return code_of(e);
}

/* ---- totals ---------------------------------------------------------------------------------- */

static void
badmail_store_add(struct badmail_state *s, enum badmail_class cls, uint64_t octets)
{
	s->cls[cls].items++;
	s->cls[cls].octets += octets;
}

/* The step that was pending took the item out. */
static void
badmail_store_subtract(struct badmail_state *s, enum badmail_class cls, uint64_t octets)
{
	bool dropped = s->pending == PENDING_DROP || s->pending == PENDING_CROWD ||
		       s->pending == PENDING_EXPIRE;

	s->cls[cls].items -= s->cls[cls].items > 0;
	s->cls[cls].octets -= octets < s->cls[cls].octets ? octets : s->cls[cls].octets;
	s->dropped += dropped;
	s->dropped_octets += dropped ? octets : 0;
	s->expired += s->pending == PENDING_EXPIRE;
	s->crowded += s->pending == PENDING_CROWD;
	s->delivered += s->pending == PENDING_DELIVER;
}

/* Ends the step of a process that died under the lock. */
static int32_t
finish_pending(struct badmail_store *st, char *text)
{
	struct badmail_state *s = &st->s;
	enum badmail_class cls = (enum badmail_class)(s->pending_class & 1);
	char json[BADMAIL_PATH_MAX], eml[BADMAIL_PATH_MAX];
	enum badmail_there there;

	badmail_place_item(st->conf, cls, s->pending_id, ".json", json, sizeof(json));
	badmail_place_item(st->conf, cls, s->pending_id, ".eml", eml, sizeof(eml));
	there = badmail_place_look(json);
	if (there == BADMAIL_UNSURE) /* it stays pending */
		return badmail_store_fail(text, "cannot look at", json);
	if (there == BADMAIL_ABSENT)
		(void)unlink(eml); /* it was not promised yet, or not any more */
	if (s->pending == PENDING_INSERT && there == BADMAIL_THERE)
		badmail_store_add(s, cls, s->pending_octets);
	else if (s->pending != PENDING_INSERT && there == BADMAIL_ABSENT)
		badmail_store_subtract(s, cls, s->pending_octets);
	s->pending = PENDING_NONE;
	return PM_OK;
}

static bool
write_state(struct badmail_store *st)
{
	return statefile_write(st->fd, &st->s, sizeof(st->s));
}

/* The totals, after a death or a crash. Without a look at all items no totals are right, and
 * nothing is promised by wrong ones. */
static int32_t
make_good(struct badmail_store *st, enum statefile_found found, char *text)
{
	char path[BADMAIL_PATH_MAX];

	if (found == STATEFILE_SOUND && statefile_same_boot(st->s.boot, statefile_boot()))
		return st->s.pending == PENDING_NONE ? PM_OK : finish_pending(st, text);
	return badmail_count(st->conf, &st->s, path)
		       ? PM_OK
		       : badmail_store_fail(text, "cannot count", path);
}

int32_t
badmail_store_lock(const struct conf *c, struct badmail_store *st, char *text)
{
	char path[BADMAIL_PATH_MAX];
	enum statefile_found found = STATEFILE_SOUND;
	int32_t rc;

	st->conf = &c->badmail;
	snprintf(path, sizeof(path), "%s/state", c->badmail.path);
	if (!volume_mounted(c->badmail.vol)) {
		errno = ENODEV; /* nothing is made beneath its mount point */
		return badmail_store_fail(text, "its volume is not mounted:", path);
	}
	st->fd = -1;
	if (badmail_place_look(path) != BADMAIL_ABSENT || badmail_place_make_all(&c->badmail))
		st->fd = statefile_open(path, BADMAIL_STATE_MAGIC, &st->s, sizeof(st->s), &found);
	if (st->fd < 0)
		return badmail_store_fail(text, "cannot use", path);
	rc = make_good(st, found, text);
	if (rc != PM_OK)
		statefile_close(st->fd); /* as it was: the next caller looks again */
	return rc;
}

bool
badmail_store_unlock(struct badmail_store *st)
{
	bool ok = write_state(st);

	badmail_seen_remember(&st->s);
	statefile_close(st->fd);
	return ok;
}

/* Writes down the step that comes next: a death from here on is made good by it. */
static bool
badmail_store_announce(struct badmail_store *st, enum badmail_pending step, enum badmail_class cls,
		       uint64_t id, uint64_t octets)
{
	struct badmail_state *s = &st->s;

	s->pending = step;
	s->pending_class = cls;
	s->pending_id = id;
	s->pending_octets = octets;
	return write_state(st);
}

/* ---- taking out ------------------------------------------------------------------------------ */

bool
badmail_store_remove(struct badmail_store *st, enum badmail_class cls, uint64_t id,
		     enum badmail_pending why)
{
	char json[BADMAIL_PATH_MAX], eml[BADMAIL_PATH_MAX];
	struct badmail_state *s = &st->s;
	uint64_t octets = BADMAIL_OVERHEAD;
	int64_t when;

	badmail_place_item(st->conf, cls, id, ".json", json, sizeof(json));
	badmail_place_item(st->conf, cls, id, ".eml", eml, sizeof(eml));
	if (badmail_place_look(json) != BADMAIL_THERE)
		return false;
	if (badmail_place_stat(st->conf, cls, id, &octets, &when) == BADMAIL_UNSURE)
		s->boot = 0; /* its octets are not known: the next caller counts */
	/* if the page cannot be written now, it cannot be afterwards either, and all is counted
	 * again */
	(void)badmail_store_announce(st, why, cls, id, octets);
	KILL_POINT("badmail: before it goes");
	if (unlink(json) != 0) {
		s->pending = PENDING_NONE;
		return false;
	}
	KILL_POINT("badmail: its sidecar is gone");
	(void)unlink(eml); /* without a sidecar nobody counts it */
	KILL_POINT("badmail: it is gone");
	badmail_store_subtract(s, cls, octets);
	s->pending = PENDING_NONE;
	if (id == s->cls[cls].first)
		s->cls[cls].first = id + 1;
	badmail_place_drop(st->conf, cls, id);
	return true;
}

static bool
badmail_store_oldest(struct badmail_store *st, enum badmail_class cls, uint64_t *ret_id)
{
	struct badmail_state *s = &st->s;
	bool unsure, found;

	if (s->cls[cls].items == 0)
		return false;
	found = badmail_place_next(st->conf, cls, s->cls[cls].first, s->next_id, ret_id, &unsure);
	if (unsure)
		return found; /* there may be an older one, to be found when it can be looked at */
	if (found)
		s->cls[cls].first = *ret_id;
	else
		s->boot = 0; /* the totals are wrong: the next caller counts */
	return found;
}

int64_t
badmail_store_oldest_ms(struct badmail_store *st, enum badmail_class cls)
{
	uint64_t id, octets;
	int64_t ms = 0;

	return badmail_store_oldest(st, cls, &id) &&
			       badmail_place_stat(st->conf, cls, id, &octets, &ms) == BADMAIL_THERE
		       ? ms
		       : 0;
}

unsigned
badmail_store_expire(struct badmail_store *st, unsigned max)
{
	int64_t before = clock_expire_ms() - st->conf->max_age_ms, when; /* in doubt: in 1969 */
	uint64_t id, octets;
	unsigned n = 0;

	while (n < max && badmail_store_oldest(st, BADMAIL_REFUSED, &id) &&
	       badmail_place_stat(st->conf, BADMAIL_REFUSED, id, &octets, &when) == BADMAIL_THERE &&
	       when < before && badmail_store_remove(st, BADMAIL_REFUSED, id, PENDING_EXPIRE))
		n++;
	return n;
}

/* ---- putting in ------------------------------------------------------------------------------ */

bool
badmail_store_retry_full(const struct conf_badmail *b, const struct badmail_state *s,
			 uint64_t octets)
{
	return s->cls[BADMAIL_RETRY].items + 1 > (uint64_t)b->max_items / 2 ||
	       s->cls[BADMAIL_RETRY].octets + octets > (uint64_t)b->max_octets / 2;
}

/* Makes room within the bound for one more item of so many octets: the oldest refused ones go. */
static bool
badmail_store_make_room(struct badmail_store *st, uint64_t octets)
{
	const struct badmail_state *s = &st->s;
	uint64_t id;

	if (s->cls[BADMAIL_RETRY].items + 1 > (uint64_t)st->conf->max_items ||
	    s->cls[BADMAIL_RETRY].octets + octets > (uint64_t)st->conf->max_octets)
		return false; /* not even if all refused ones went */
	for (;;) {
		uint64_t items = s->cls[0].items + s->cls[1].items,
			 all = s->cls[0].octets + s->cls[1].octets;
		bool many = items + 1 > (uint64_t)st->conf->max_items;

		if (!many && all + octets <= (uint64_t)st->conf->max_octets)
			return true;
		if (!badmail_store_oldest(st, BADMAIL_REFUSED, &id) ||
		    !badmail_store_remove(st, BADMAIL_REFUSED, id,
					  many ? PENDING_CROWD : PENDING_DROP))
			return false;
	}
}

/* May it come in? PM_NOSPACE: `text`, of 200 bytes or NULL, has why. */
static int32_t
badmail_store_admit(struct badmail_store *st, enum badmail_class cls, uint64_t octets, char *text)
{
	struct badmail_state *s = &st->s;

	(void)badmail_store_expire(st, 100);
	if (cls == BADMAIL_RETRY && badmail_store_retry_full(st->conf, s, octets)) {
		s->door_closed++;
		if (text)
			snprintf(text, 200,
				 "badmail: accepted mail that waits has reached half of the bound "
				 "(%" PRIu64 " items)",
				 s->cls[BADMAIL_RETRY].items);
		return PM_NOSPACE;
	}
	if (badmail_store_make_room(st, octets))
		return PM_OK;
	if (text)
		snprintf(text, 200,
			 "badmail: a message of %" PRIu64 " octets does not fit into its bound",
			 octets);
	return PM_NOSPACE;
}

/* Moves the two files of the announced item to their places: both, or neither. */
static int32_t
badmail_store_move_in(const struct badmail_store *st, const char *eml, const char *json, char *text)
{
	char to_eml[BADMAIL_PATH_MAX], to_json[BADMAIL_PATH_MAX];
	enum badmail_class cls = st->s.pending_class;
	uint64_t id = st->s.pending_id;
	int32_t rc;

	badmail_place_item(st->conf, cls, id, ".eml", to_eml, sizeof(to_eml));
	badmail_place_item(st->conf, cls, id, ".json", to_json, sizeof(to_json));
	if (!badmail_place_make(st->conf, cls, id) || link(eml, to_eml) != 0)
		return badmail_store_fail(text, "cannot make", to_eml);
	KILL_POINT("badmail: its message is in");
	if (rename(json, to_json) == 0)
		return PM_OK;
	rc = badmail_store_fail(text, "cannot make", to_json);
	(void)unlink(to_eml);
	return rc;
}

int32_t
badmail_store_insert(struct badmail_store *st, enum badmail_class cls, const char *eml,
		     const char *json, uint64_t octets, uint64_t *ret_id, char *text)
{
	struct badmail_state *s = &st->s;
	int32_t rc = badmail_store_admit(st, cls, octets, text);

	if (rc != PM_OK)
		return rc;
	if (!badmail_store_announce(st, PENDING_INSERT, cls, s->next_id++, octets))
		return badmail_store_fail(text, "cannot write to", st->conf->path);
	KILL_POINT("badmail: before it comes in");
	rc = badmail_store_move_in(st, eml, json, text);
	s->pending = PENDING_NONE;
	if (rc != PM_OK)
		return rc;
	KILL_POINT("badmail: it is in");
	badmail_store_add(s, cls, octets);
	if (s->cls[cls].items == 1)
		s->cls[cls].first = s->pending_id;
	*ret_id = s->pending_id;
	return PM_OK;
}

/* ---- filling up ------------------------------------------------------------------------------ */

void
badmail_store_warn(struct badmail_store *st)
{
	const struct conf_badmail *b = st->conf;
	struct badmail_state *s = &st->s;
	uint64_t items = s->cls[0].items + s->cls[1].items,
		 octets = s->cls[0].octets + s->cls[1].octets;
	const struct {
		uint64_t n, max;
	} now[2][2] = {
		{{items, (uint64_t)b->max_items}, {octets, (uint64_t)b->max_octets}},
		{{s->cls[BADMAIL_RETRY].items, (uint64_t)b->max_items / 2},
		 {s->cls[BADMAIL_RETRY].octets, (uint64_t)b->max_octets / 2}},
	};

	for (unsigned k = 0; k < 2; k++) {
		bool high = now[k][0].n >= now[k][0].max / 100.0 * WARN_PERCENT ||
			    now[k][1].n >= now[k][1].max / 100.0 * WARN_PERCENT;

		if (high && !(s->warned >> k & 1))
			log_msg(LOG_LVL_WARNING, "badmail",
				"%s is at %d percent of %s: %" PRIu64 " items, %" PRIu64
				" octets; see "
				"restantectl badmail stats",
				b->path, WARN_PERCENT,
				k == 0 ? "its bound, the oldest refused mail will be dropped"
				       : "what may wait for its stores, then mail is not accepted",
				now[k][0].n, now[k][1].n);
		s->warned = high ? s->warned | 1u << k : s->warned & ~(1u << k);
	}
}
