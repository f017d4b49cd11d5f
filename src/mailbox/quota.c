/* SPDX-License-Identifier: Apache-2.0 */
/* Limits, users, and the warning. quota_domain.c counts domains. */
#include "mailbox/quota.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "mailbox/quota_domain.h"
#include "mailbox/volume.h"

static struct pm_str
quota_domain_of(const struct pm_user *u)
{
	const char *at;

	if (u->domain.n > 0)
		return u->domain;
	at = u->name.n > 0 ? memrchr(u->name.p, '@', u->name.n) : NULL;
	return at ? (struct pm_str){at + 1, (size_t)(u->name.p + u->name.n - at) - 1}
		  : (struct pm_str){NULL, 0};
}

/* The first limit that is set: the user's own, the domain's block (-1: not given), the site's. */
static uint64_t
quota_pick(uint64_t user, int64_t domain, int64_t site)
{
	return user > 0 ? user : (uint64_t)(domain >= 0 ? domain : site);
}

void
quota_fill(const struct conf *c, struct pm_user *u)
{
	struct pm_str name = quota_domain_of(u);
	const struct conf_domain *d = name.n > 0 ? conf_domain(c, name.p, name.n) : NULL;

	u->domain = name; /* stores that count themselves go by it */
	u->quota_octets =
		quota_pick(u->quota_octets, d ? d->limits.quota_octets : -1, c->site.quota_octets);
	u->quota_msgs =
		quota_pick(u->quota_msgs, d ? d->limits.quota_msgs : -1, c->site.quota_msgs);
	u->domain_octets = quota_pick(u->domain_octets, d ? d->limits.domain_octets : -1,
				      c->site.domain_octets);
	u->domain_msgs =
		quota_pick(u->domain_msgs, d ? d->limits.domain_msgs : -1, c->site.domain_msgs);
}

void
quota_limits(const struct backend *storage, const struct pm_user *u, struct quota_limits *ret)
{
	struct pm_str d = quota_domain_of(u);

	memset(ret, 0, sizeof(*ret));
	ret->octets = u->quota_octets;
	ret->msgs = u->quota_msgs;
	ret->domain_octets = u->domain_octets;
	ret->domain_msgs = u->domain_msgs;
	ret->store_counts = storage->counts;
	for (size_t i = 0; i < d.n && i < sizeof(ret->domain) - 1; i++)
		ret->domain[i] =
			d.p[i] >= 'A' && d.p[i] <= 'Z' ? (char)(d.p[i] - 'A' + 'a') : d.p[i];
	ret->domain_counted = !storage->counts &&
			      (ret->domain_octets > 0 || ret->domain_msgs > 0) &&
			      d.n < sizeof(ret->domain) && quota_domain_name_ok(ret->domain);
}

bool
quota_wants_stat(const struct quota_limits *l)
{
	return !l->store_counts && (l->octets > 0 || l->msgs > 0);
}

bool
quota_wants_usage(const struct conf *c, const struct quota_limits *l)
{
	return quota_wants_stat(l) ||
	       (l->store_counts && c->quota_warn > 0 && (l->octets > 0 || l->msgs > 0));
}

int32_t
quota_check(const struct quota_limits *l, const struct pm_stat *now, uint64_t octets,
	    char *ret_text)
{
	uint64_t more = octets > 0 ? octets : 1;

	if (!quota_wants_stat(l))
		return PM_OK;
	if (l->msgs > 0 && now->count >= l->msgs) {
		if (ret_text)
			snprintf(ret_text, QUOTA_TEXT_MAX,
				 "mailbox is full: %" PRIu64 " of %" PRIu64 " messages", now->count,
				 l->msgs);
		return PM_QUOTA;
	}
	if (l->octets > 0 && (now->octets >= l->octets || more > l->octets - now->octets)) {
		if (ret_text)
			snprintf(ret_text, QUOTA_TEXT_MAX,
				 "mailbox is full: %" PRIu64 " of %" PRIu64
				 " octets, the message has %" PRIu64,
				 now->octets, l->octets, octets);
		return PM_QUOTA;
	}
	return PM_OK;
}

/* ---- the warning ----------------------------------------------------------------------------- */

/* One file for each user who was warned; names are hashed, since they may hold any character. */
static bool
warned_path(const struct conf *c, const struct pm_user *u, char *path, size_t cap)
{
	unsigned char md[EVP_MAX_MD_SIZE];
	int n;

	if (!volume_mounted(c->state_vol) ||
	    EVP_Digest(u->name.p, u->name.n, md, NULL, EVP_sha256(), NULL) != 1)
		return false;
	n = snprintf(path, cap, "%s/quota", c->state_dir);
	if (n < 0 || (size_t)n + 64 > cap || (mkdir(path, 0700) != 0 && errno != EEXIST))
		return false;
	memcpy(path + n, "/warned", 8);
	if (mkdir(path, 0700) != 0 && errno != EEXIST)
		return false;
	path[n += 7] = '/';
	for (int i = 0; i < 16; i++)
		snprintf(path + n + 1 + 2 * i, 3, "%02x", md[i]);
	return true;
}

/* Is so much of the limit used that a warning is due? */
static bool
quota_nearly(uint64_t used, uint64_t limit, uint32_t percent)
{
	/* rounded up: 80 percent of 3 messages is not 2 */
	return limit > 0 && used >= limit / 100 * percent + (limit % 100 * percent + 99) / 100;
}

bool
quota_after(const struct conf *c, const struct quota_limits *l, const struct pm_user *u,
	    const struct pm_stat *before, uint64_t octets)
{
	bool was, is;
	char path[PM_PATH_MAX + 1];
	int fd;

	if (!quota_wants_usage(c, l) || c->quota_warn == 0)
		return false;
	was = quota_nearly(before->octets, l->octets, c->quota_warn) ||
	      quota_nearly(before->count, l->msgs, c->quota_warn);
	is = quota_nearly(before->octets + octets, l->octets, c->quota_warn) ||
	     quota_nearly(before->count + 1, l->msgs, c->quota_warn);
	if ((was && !is) || !warned_path(c, u, path, sizeof(path)))
		return false;
	if (!was)
		/* usually it is not there: usage fell below since the last warning */
		(void)unlink(path);
	if (!is)
		return false;
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd == -1)
		return false; /* EEXIST: warned already; else one warning is lost, not a message */
	(void)close(fd);
	return true;
}
