/* SPDX-License-Identifier: Apache-2.0 */
#include "badmail/badmail_count.h"

#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "badmail/badmail_place.h"
#include "base/clock.h"
#include "base/log.h"

struct counted {
	uint64_t items, octets, first, last;
};

/* One bucket: pairs are counted, halves removed, since nobody was promised anything for them. */
static void
count_bucket(const struct conf_badmail *b, enum badmail_class cls, const char *dir,
	     struct counted *n)
{
	DIR *d = opendir(dir);
	struct dirent *e;

	while (d && (e = readdir(d)) != NULL) {
		char other[BADMAIL_PATH_MAX], *end;
		uint64_t id = strtoull(e->d_name, &end, 16), octets;
		bool json = end == e->d_name + 16 && strcmp(end, ".json") == 0;
		int64_t when;

		if (!json && !(end == e->d_name + 16 && strcmp(end, ".eml") == 0))
			continue;
		badmail_place_item(b, cls, id, json ? ".eml" : ".json", other, sizeof(other));
		if (!badmail_place_there(other)) {
			(void)unlinkat(dirfd(d), e->d_name, 0);
		} else if (json && badmail_place_stat(b, cls, id, &octets, &when)) {
			n->items++;
			n->octets += octets;
			n->first = id < n->first ? id : n->first;
			n->last = id > n->last ? id : n->last;
		}
	}
	if (d)
		closedir(d);
}

static void
count_class(const struct conf_badmail *b, enum badmail_class cls, struct counted *n)
{
	char path[BADMAIL_PATH_MAX], sub[BADMAIL_PATH_MAX + 300];
	struct dirent *e;
	DIR *d;

	snprintf(path, sizeof(path), "%s/%s", b->path, badmail_id_class(cls));
	d = opendir(path);
	while (d && (e = readdir(d)) != NULL) {
		if (e->d_name[0] == '.')
			continue;
		for (unsigned k = 0; k < 256; k++) {
			snprintf(sub, sizeof(sub), "%s/%s/%02x", path, e->d_name, k);
			count_bucket(b, cls, sub, n);
		}
	}
	if (d)
		closedir(d);
}

void
badmail_count(const struct conf_badmail *b, struct badmail_state *s)
{
	int64_t began = mono_ms();
	uint64_t next = s->next_id;

	for (int k = 0; k < 2; k++) {
		struct counted n = {.first = UINT64_MAX};

		count_class(b, (enum badmail_class)k, &n);
		s->cls[k].items = n.items;
		s->cls[k].octets = n.octets;
		s->cls[k].first = n.items > 0 ? n.first : 0;
		if (n.items > 0 && n.last >= next)
			next = n.last + 1;
	}
	s->next_id = next;
	s->pending = PENDING_NONE;
	s->boot = statefile_boot();
	log_msg(LOG_LVL_NOTICE, "badmail",
		"%s was counted: %" PRIu64 " to retry, %" PRIu64 " refused, %" PRId64 " ms",
		b->path, s->cls[BADMAIL_RETRY].items, s->cls[BADMAIL_REFUSED].items,
		mono_ms() - began);
}
