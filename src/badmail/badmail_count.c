/* SPDX-License-Identifier: Apache-2.0 */
#include "badmail/badmail_count.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "badmail/badmail_lost.h"
#include "badmail/badmail_place.h"
#include "base/clock.h"
#include "base/log.h"

struct counted {
	uint64_t items, octets, first, last;
};

struct counter {
	const struct conf_badmail *conf;
	struct badmail_lost lost;
	struct counted n;            /* of the class that is being counted */
	char path[BADMAIL_PATH_MAX]; /* the directory that is being read */
};

/* One file of a bucket. A pair is counted once, with its sidecar; half of one is set aside. */
static void
count_file(struct counter *k, enum badmail_class cls, DIR *d, const char *name)
{
	char other[BADMAIL_PATH_MAX], *end;
	uint64_t id = strtoull(name, &end, 16), octets = BADMAIL_OVERHEAD;
	bool json = end == name + 16 && strcmp(end, ".json") == 0;
	struct counted *n = &k->n;
	int64_t when;

	if (!json && !(end == name + 16 && strcmp(end, ".eml") == 0))
		return;
	badmail_place_item(k->conf, cls, id, json ? ".eml" : ".json", other, sizeof(other));
	if (badmail_place_look(other) == BADMAIL_ABSENT) {
		badmail_lost_keep(&k->lost, cls, dirfd(d), name);
	} else if (json) {
		/* if its message cannot be looked at now, it is an item all the same */
		(void)badmail_place_stat(k->conf, cls, id, &octets, &when);
		n->items++;
		n->octets += octets;
		n->first = id < n->first ? id : n->first;
		n->last = id > n->last ? id : n->last;
	}
}

static const char *
next_name(DIR *d)
{
	struct dirent *e;

	errno = 0;
	e = readdir(d);
	return e ? e->d_name : NULL;
}

static bool
count_bucket(struct counter *k, enum badmail_class cls)
{
	DIR *d = opendir(k->path);
	const char *name;
	int e;

	if (!d)
		return errno == ENOENT;
	while ((name = next_name(d)) != NULL)
		count_file(k, cls, d, name);
	e = errno;
	closedir(d);
	errno = e;
	return e == 0;
}

static bool
count_branch(struct counter *k, enum badmail_class cls, const char *name)
{
	bool ok = true;

	for (unsigned bucket = 0; ok && bucket < 256; bucket++) {
		snprintf(k->path, sizeof(k->path), "%s/%s/%.200s/%02x", k->conf->path,
			 badmail_id_class(cls), name, bucket);
		ok = count_bucket(k, cls);
	}
	return ok;
}

static bool
count_class(struct counter *k, enum badmail_class cls)
{
	const char *name;
	bool ok = true;
	DIR *d;
	int e;

	k->n = (struct counted){.first = UINT64_MAX};
	snprintf(k->path, sizeof(k->path), "%s/%s", k->conf->path, badmail_id_class(cls));
	d = opendir(k->path);
	if (!d)
		return errno == ENOENT;
	while (ok && (name = next_name(d)) != NULL)
		ok = name[0] == '.' || count_branch(k, cls, name);
	e = errno;
	closedir(d);
	errno = e;
	return ok && e == 0;
}

bool
badmail_count(const struct conf_badmail *b, struct badmail_state *s, char *ret_path)
{
	struct counter k = {.conf = b, .lost.conf = b};
	struct badmail_state old = *s;
	int64_t began = mono_ms();

	for (int i = 0; i < 2; i++) {
		if (!count_class(&k, (enum badmail_class)i)) {
			*s = old;
			memcpy(ret_path, k.path, BADMAIL_PATH_MAX);
			return false;
		}
		s->cls[i].items = k.n.items;
		s->cls[i].octets = k.n.octets;
		s->cls[i].first = k.n.items > 0 ? k.n.first : 0;
		if (k.n.items > 0 && k.n.last >= s->next_id)
			s->next_id = k.n.last + 1;
	}
	s->pending = PENDING_NONE;
	s->boot = statefile_boot();
	badmail_lost_tell(&k.lost);
	log_msg(LOG_LVL_NOTICE, "badmail",
		"%s was counted: %" PRIu64 " to retry, %" PRIu64 " refused, %" PRId64 " ms",
		b->path, s->cls[BADMAIL_RETRY].items, s->cls[BADMAIL_REFUSED].items,
		mono_ms() - began);
	return true;
}
