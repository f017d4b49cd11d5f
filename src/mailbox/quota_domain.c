/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The usage of a domain's mailboxes together, in one small file per domain, for stores that do not
 * count domains themselves.
 *
 * A delivery is added before its commit, a deletion is subtracted after it: a process that dies in
 * between leaves a count that is too high, never too low, and a slot that reveals it. The next one
 * to open the file finds the slot of a dead process and declares the count doubtful, and the
 * mailboxes are counted again (upkeep/sweep.h).
 */
#include "mailbox/quota_domain.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/kill.h"
#include "base/log.h"
#include "mailbox/quota_impl.h"
#include "mailbox/volume.h"

#define DOUBTS 16

/* Domains this process found doubtful, to be counted again. */
static struct {
	pthread_mutex_t mutex;
	/* below: under mutex */
	char names[DOUBTS][256];
	size_t n;
} doubts = {.mutex = PTHREAD_MUTEX_INITIALIZER};

bool
quota_domain_name_ok(const char *domain)
{
	if (!*domain || domain[0] == '.' || strcmp(domain, "warned") == 0)
		return false;
	for (const char *p = domain; *p; p++)
		if ((unsigned char)*p <= 0x20 || *p == '/' || *p == 0x7f)
			return false;
	return true;
}

static void
doubt_note(const char *domain)
{
	size_t i = 0;

	pthread_mutex_lock(&doubts.mutex);
	while (i < doubts.n && strcmp(doubts.names[i], domain) != 0)
		i++;
	if (i == doubts.n && i < DOUBTS)
		snprintf(doubts.names[doubts.n++], sizeof(doubts.names[0]), "%s", domain);
	pthread_mutex_unlock(&doubts.mutex);
}

bool
quota_domain_doubtful(char ret_domain[256])
{
	bool any;

	pthread_mutex_lock(&doubts.mutex);
	any = doubts.n > 0;
	if (any)
		memcpy(ret_domain, doubts.names[--doubts.n], 256);
	pthread_mutex_unlock(&doubts.mutex);
	return any;
}

/* ---- the record ------------------------------------------------------------------------------ */

/* Accounts for slots of dead processes, and for a write that a crash of the machine may have
 * undone. */
static void
quota_domain_judge(const struct conf *c, struct quota_record *r, enum statefile_found found)
{
	if (found != STATEFILE_SOUND || !statefile_same_boot(r->boot, statefile_boot()))
		r->doubtful = 1;
	r->boot = statefile_boot();
	for (size_t i = 0; i < QUOTA_SLOTS; i++) {
		if (r->slots[i].owner.pid == 0 || statefile_alive(c->state_dir, &r->slots[i].owner))
			continue;
		memset(&r->slots[i], 0, sizeof(r->slots[i]));
		r->doubtful = 1;
	}
}

static int
record_path(const struct conf *c, const char *domain, char *path, size_t cap)
{
	int n = snprintf(path, cap, "%s/quota", c->state_dir);

	if (n < 0 || (size_t)n + strlen(domain) + 2 > cap) {
		errno = ENAMETOOLONG;
		return -1;
	}
	snprintf(path + n, cap - (size_t)n, "/%s", domain);
	return n;
}

/* Opened and locked, made when missing; -1: errno, logged. */
static int
record_open(const struct conf *c, const char *domain, struct quota_record *r)
{
	static struct log_rate rate;
	char path[PM_PATH_MAX + 1];
	enum statefile_found found;
	int n = record_path(c, domain, path, sizeof(path)), fd = -1;
	uint64_t held;

	if (!volume_mounted(c->state_vol)) {
		errno = ENODEV;
	} else if (n >= 0) {
		fd = statefile_open(path, QUOTA_MAGIC, r, sizeof(*r), &found);
		if (fd == -1 && errno == ENOENT) {
			path[n] = '\0';
			(void)mkdir(path, 0700); /* if it fails, the next open reports it */
			path[n] = '/';
			fd = statefile_open(path, QUOTA_MAGIC, r, sizeof(*r), &found);
		}
	}
	if (fd == -1) {
		if (log_rate_pass(&rate, &held))
			log_msg(LOG_LVL_ERROR, "quota",
				"the count of domain %s cannot be kept: %s: %s", domain, path,
				strerrordesc_np(errno));
		return -1;
	}
	quota_domain_judge(c, r, found);
	if (r->doubtful)
		doubt_note(domain);
	return fd;
}

static bool
quota_domain_record_write(int fd, struct quota_record *r)
{
	bool ok;

	r->changes++;
	ok = statefile_write(fd, r, sizeof(*r));
	statefile_close(fd);
	return ok;
}

static int32_t
quota_domain_slot_take(const struct conf *c, struct quota_record *r, const struct quota_hold *h)
{
	if (!statefile_join(c->state_dir))
		return -1;
	for (int32_t i = 0; i < QUOTA_SLOTS; i++) {
		if (r->slots[i].owner.pid != 0)
			continue;
		r->slots[i] = (struct quota_slot){statefile_self(), h->octets, (uint32_t)h->msgs,
						  h->sign};
		return i;
	}
	return -1; /* a crash would go unnoticed; the count is right all the same */
}

static void
slot_free(struct quota_record *r, const struct quota_hold *h)
{
	if (h->slot >= 0 && h->slot < QUOTA_SLOTS && statefile_is_self(&r->slots[h->slot].owner))
		memset(&r->slots[h->slot], 0, sizeof(r->slots[0]));
}

static void
quota_domain_less(struct quota_record *r, const struct quota_hold *h)
{
	if (h->octets > r->octets || h->msgs > r->msgs)
		r->doubtful = 1; /* it was too low: some of this was there before counting began */
	r->octets -= h->octets < r->octets ? h->octets : r->octets;
	r->msgs -= h->msgs < r->msgs ? h->msgs : r->msgs;
}

/* ---- changes --------------------------------------------------------------------------------- */

static bool
quota_domain_fits(const struct quota_limits *l, const struct quota_record *r, uint64_t octets)
{
	return (l->domain_msgs == 0 || r->msgs < l->domain_msgs) &&
	       (l->domain_octets == 0 ||
		(r->octets < l->domain_octets && octets <= l->domain_octets - r->octets));
}

static int32_t
take(const struct conf *c, const struct quota_limits *l, bool limited, uint64_t octets,
     uint64_t msgs, struct quota_hold *h, char *ret_text)
{
	struct quota_record r;
	int fd;

	h->domain[0] = '\0';
	if (!l->domain_counted)
		return PM_OK;
	fd = record_open(c, l->domain, &r);
	if (fd == -1) {
		if (ret_text)
			snprintf(ret_text, QUOTA_TEXT_MAX,
				 "the count of domain %.60s cannot be kept", l->domain);
		return PM_TEMP;
	}
	if (limited && !quota_domain_fits(l, &r, octets)) {
		statefile_close(fd);
		if (ret_text)
			snprintf(ret_text, QUOTA_TEXT_MAX,
				 "the mailboxes of %.60s are full: %" PRIu64 " messages, %" PRIu64
				 " octets",
				 l->domain, r.msgs, r.octets);
		return PM_QUOTA;
	}
	*h = (struct quota_hold){.octets = octets, .msgs = msgs, .sign = 1};
	r.octets += octets;
	r.msgs += msgs;
	h->slot = quota_domain_slot_take(c, &r, h);
	KILL_POINT("quota: before it is taken");
	if (!quota_domain_record_write(fd, &r)) {
		if (ret_text)
			snprintf(ret_text, QUOTA_TEXT_MAX,
				 "the count of domain %.60s cannot be written", l->domain);
		return PM_TEMP;
	}
	KILL_POINT("quota: taken");
	memcpy(h->domain, l->domain, sizeof(h->domain));
	return PM_OK;
}

int32_t
quota_domain_take(const struct conf *c, const struct quota_limits *l, uint64_t octets,
		  struct quota_hold *h, char *ret_text)
{
	return take(c, l, true, octets, 1, h, ret_text);
}

int32_t
quota_domain_take_anyway(const struct conf *c, const struct quota_limits *l, uint64_t octets,
			 uint64_t msgs, struct quota_hold *h, char *ret_text)
{
	return take(c, l, false, octets, msgs, h, ret_text);
}

void
quota_domain_drop(const struct conf *c, const struct quota_limits *l, uint64_t octets,
		  uint64_t msgs, struct quota_hold *h)
{
	struct quota_record r;
	int fd;

	h->domain[0] = '\0';
	if (!l->domain_counted || (fd = record_open(c, l->domain, &r)) == -1)
		return;
	*h = (struct quota_hold){
		.octets = octets == QUOTA_UNKNOWN ? 0 : octets, .msgs = msgs, .sign = -1};
	if (octets == QUOTA_UNKNOWN)
		r.doubtful = 1;
	h->slot = quota_domain_slot_take(c, &r, h);
	if (quota_domain_record_write(fd, &r))
		memcpy(h->domain, l->domain, sizeof(h->domain));
	KILL_POINT("quota: deletion announced");
}

enum end { KEEP, GIVE_BACK, DOUBT };

static void
hold_end(const struct conf *c, struct quota_hold *h, enum end end)
{
	struct quota_record r;
	int fd;

	if (!h->domain[0])
		return;
	KILL_POINT("quota: before the hold ends");
	fd = record_open(c, h->domain, &r);
	if (fd != -1) {
		slot_free(&r, h);
		if ((end == KEEP && h->sign < 0) || (end == GIVE_BACK && h->sign > 0))
			quota_domain_less(&r, h);
		if (end == DOUBT)
			r.doubtful = 1;
		if (r.doubtful)
			doubt_note(h->domain);
		/* the slot stays and reveals it, when this process is gone */
		(void)quota_domain_record_write(fd, &r);
	}
	KILL_POINT("quota: the hold has ended");
	h->domain[0] = '\0';
}

void
quota_domain_end(const struct conf *c, struct quota_hold *h, int32_t rc)
{
	hold_end(c, h,
		 rc == PM_OK                            ? KEEP
		 : rc == PM_UNKNOWN || rc == PM_PARTIAL ? DOUBT
							: GIVE_BACK);
}

void
quota_domain_give_back(const struct conf *c, struct quota_hold *h)
{
	hold_end(c, h, GIVE_BACK);
}

/* ---- looking and counting again -------------------------------------------------------------- */

static uint32_t
under_way(const struct quota_record *r)
{
	uint32_t n = 0;

	for (size_t i = 0; i < QUOTA_SLOTS; i++)
		n += r->slots[i].owner.pid != 0;
	return n;
}

int32_t
quota_domain_get(const struct conf *c, const char *domain, struct quota_usage *ret)
{
	char path[PM_PATH_MAX + 1];
	enum statefile_found found;
	struct quota_record r;

	if (!quota_domain_name_ok(domain) || record_path(c, domain, path, sizeof(path)) < 0)
		return PM_NOENT;
	if (statefile_look(path, QUOTA_MAGIC, &r, sizeof(r), &found) != 0)
		return errno == ENOENT ? PM_NOENT : PM_TEMP;
	quota_domain_judge(c, &r, found);
	*ret = (struct quota_usage){
		.octets = r.octets, .msgs = r.msgs, .changes = r.changes, .doubtful = r.doubtful};
	ret->under_way = under_way(&r);
	if (r.doubtful)
		doubt_note(domain);
	return PM_OK;
}

int32_t
quota_domain_set(const struct conf *c, const char *domain, uint64_t changes, bool last,
		 uint64_t octets, uint64_t msgs)
{
	struct quota_record r;
	int fd = quota_domain_name_ok(domain) ? record_open(c, domain, &r) : -1;
	bool moved;

	if (fd == -1)
		return PM_TEMP;
	moved = r.changes != changes || under_way(&r) > 0;
	if (moved && !last) {
		statefile_close(fd);
		return PM_AGAIN;
	}
	r.octets = octets;
	r.msgs = msgs;
	r.doubtful = moved;
	for (size_t i = 0; i < QUOTA_SLOTS; i++) {
		/* as if it were not in its mailbox yet */
		if (r.slots[i].owner.pid != 0 && r.slots[i].sign > 0) {
			r.octets += r.slots[i].octets;
			r.msgs += r.slots[i].msgs;
		}
	}
	return quota_domain_record_write(fd, &r) ? PM_OK : PM_TEMP;
}

void
quota_domain_each(const struct conf *c, bool (*fn)(const char *domain, void *ctx), void *ctx)
{
	char path[PM_PATH_MAX + 1];
	struct dirent *e;
	DIR *d;

	snprintf(path, sizeof(path), "%s/quota", c->state_dir);
	d = opendir(path);
	while (d && (e = readdir(d)) != NULL)
		if (quota_domain_name_ok(e->d_name) && !fn(e->d_name, ctx))
			break;
	if (d)
		closedir(d);
}
