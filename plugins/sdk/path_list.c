/* SPDX-License-Identifier: Apache-2.0 */
#include "path_list.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "path.h"
#include "path_walk.h"
#include "say.h"

#define MOST 4 /* walks kept for the page or the slice that follows */
#define LEFT_MS (10 * 60 * 1000)

struct kept {
	struct walk *walk;
	int64_t left_ms; /* when its last caller left */
};

struct sdk_lists {
	const struct pm_host *host;
	size_t window;
	pthread_mutex_t mutex;
	/* below: under mutex */
	uint64_t begun;         /* walks, so far */
	struct kept kept[MOST]; /* a walk that a caller has is not among them */
};

/* The list as one call sees it. */
struct page {
	const char *pattern;
	sdk_is_box is_box;
	const struct pm_call *call;
	const unsigned char *after; /* NULL: from the start */
	size_t n;
};

struct sdk_lists *
sdk_lists_new(const struct pm_host *host, size_t window)
{
	struct sdk_lists *l = calloc(1, sizeof(*l));

	if (!l)
		return NULL;
	l->host = host;
	l->window = window;
	pthread_mutex_init(&l->mutex, NULL);
	return l;
}

void
sdk_lists_free(struct sdk_lists *l)
{
	if (!l)
		return;
	for (size_t k = 0; k < MOST; k++)
		walk_free(l->kept[k].walk);
	pthread_mutex_destroy(&l->mutex);
	free(l);
}

/* ---- walks between calls --------------------------------------------------------------------- */

/* True if the caller can go on with this walk. A new list begins with a walk of its own: an old one
 * does not have the mailboxes that came since. */
static bool
lists_serves(const struct walk *w, const struct page *p)
{
	const struct found *f;
	size_t n;

	return walk_is_done(w) ? p->after && walk_has(w, p->after, p->n, &f, &n)
			       : walk_is_after(w, p->after);
}

/* Takes the walk that serves this page out of those kept; NULL: none does. Of two it is the one
 * that was begun last: the other may lack mailboxes that the caller's list has to have. */
static struct walk *
lists_take(struct sdk_lists *l, const struct page *p)
{
	int64_t now = l->host->now_ms(l->host->ctx);
	struct kept *best = NULL;
	struct walk *got = NULL;

	pthread_mutex_lock(&l->mutex);
	for (size_t k = 0; k < MOST; k++) {
		struct kept *at = &l->kept[k];

		if (at->walk && now - at->left_ms >= LEFT_MS) {
			walk_free(at->walk);
			at->walk = NULL;
		}
		if (at->walk && lists_serves(at->walk, p) &&
		    (!best || walk_number(at->walk) > walk_number(best->walk)))
			best = at;
	}
	if (best) {
		got = best->walk;
		best->walk = NULL;
	}
	pthread_mutex_unlock(&l->mutex);
	return got;
}

/* The place for one more walk: a free one, or of the finished walks that was left longest ago,
 * since each of them gave a page. NULL: all are half done, and would be begun again for ever by
 * callers that drive each other out; the newest gives way. */
static struct kept *
lists_room(struct sdk_lists *l)
{
	struct kept *best = NULL;

	for (size_t k = 0; k < MOST; k++) {
		struct kept *at = &l->kept[k];

		if (!at->walk)
			return at;
		if (walk_is_done(at->walk) && (!best || at->left_ms < best->left_ms))
			best = at;
	}
	return best;
}

static void
lists_keep(struct sdk_lists *l, struct walk *w)
{
	struct walk *out = w;
	struct kept *at;

	pthread_mutex_lock(&l->mutex);
	at = lists_room(l);
	if (at) {
		out = at->walk;
		*at = (struct kept){w, l->host->now_ms(l->host->ctx)};
	}
	pthread_mutex_unlock(&l->mutex);
	walk_free(out);
}

/* A walk that begins at the page. */
static int32_t
lists_begin(struct sdk_lists *l, const struct page *p, struct walk **ret)
{
	char *prefix = sdk_path_prefix(p->pattern);
	int root = prefix ? open(prefix, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
	uint64_t number;
	int32_t rc = PM_DOWN;

	pthread_mutex_lock(&l->mutex);
	number = ++l->begun;
	pthread_mutex_unlock(&l->mutex);
	if (!prefix) {
		rc = PM_NOMEM;
	} else if (root == -1) {
		sdk_error(p->call, "'%s': %s", prefix, strerrordesc_np(errno));
	} else {
		*ret = walk_new(root, p->pattern + strlen(prefix), p->after,
				p->n > l->window ? p->n : l->window, number);
		rc = *ret ? PM_OK : PM_NOMEM;
	}
	free(prefix);
	return rc;
}

/* ---- pages ----------------------------------------------------------------------------------- */

static bool
cursor_sum(struct pm_str cursor, unsigned char sum[SUM])
{
	for (size_t k = 0; k < 2 * SUM; k++) {
		const char *digits = "0123456789abcdef",
			   *at = cursor.n == 2 * SUM ? strchr(digits, cursor.p[k]) : NULL;

		if (!at || !*at)
			return false;
		sum[k / 2] = (unsigned char)((k % 2 ? sum[k / 2] << 4 : 0) | (at - digits));
	}
	return true;
}

static void
page_put(const struct found *f, char *at)
{
	struct pm_box b = {0};

	memcpy(&b.size, at, sizeof(b.size)); /* R1 */
	memcpy(b.key, f->key, f->n);
	b.key_len = (uint32_t)f->n;
	for (int k = 0; k < SUM; k++)
		snprintf(b.cursor + 2 * k, 3, "%02x", f->sum[k]);
	b.cursor_len = 2 * SUM;
	memcpy(at, &b, b.size < sizeof(b) ? b.size : sizeof(b));
}

/* The walk is kept until the last page was handed out, or it failed. */
static int32_t
page_fill(struct sdk_lists *l, const struct page *p, char *ret, size_t stride, size_t *ret_got)
{
	const struct found *f = NULL;
	size_t n = 0;
	struct walk *w = lists_take(l, p);
	int32_t rc = w ? PM_OK : lists_begin(l, p, &w);

	if (rc == PM_OK && !walk_is_done(w))
		rc = walk_slice(w, l->host, p->call, p->is_box);
	if (rc == PM_OK)
		(void)walk_has(w, p->after, p->n, &f, &n);
	for (size_t k = 0; k < n && k < p->n; k++)
		page_put(&f[k], ret + k * stride);
	if (rc == PM_OK)
		*ret_got = n < p->n ? n : p->n;
	if (rc == PM_AGAIN || (rc == PM_OK && n >= p->n))
		lists_keep(l, w);
	else
		walk_free(w);
	return rc;
}

int32_t
sdk_path_list(struct sdk_lists *l, const char *pattern, sdk_is_box is_box,
	      const struct pm_call *call, struct pm_str cursor, size_t n, size_t stride,
	      struct pm_box *ret, size_t *ret_got)
{
	unsigned char after[SUM];
	struct page p = {pattern, is_box, call, cursor.n > 0 ? after : NULL, n};

	if (strstr(pattern, "%h")) {
		sdk_error(call, "path = %s: mailboxes in homes cannot be listed", pattern);
		return PM_UNSUPPORTED;
	}
	if (cursor.n > 0 && !cursor_sum(cursor, after))
		return PM_INVALID;
	return page_fill(l, &p, (char *)ret, stride, ret_got);
}
