/* SPDX-License-Identifier: Apache-2.0 */
#include "path_list.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "path.h"
#include "say.h"

#define SUM 16
#define PARTS 5 /* u n d k, and one for %h */

static const char letters[] = "undkh";

/* The values of the template's letters on the way down; strings of the directory entries that were
 * passed. */
struct names {
	struct pm_str of[PARTS];
};

struct found {
	unsigned char sum[SUM];
	char *key;
	size_t key_n;
};

struct walk {
	sdk_is_box is_box;
	const unsigned char *after; /* the page begins after this cursor; NULL: from the start */
	struct found *page;         /* the smallest keys, in order */
	size_t n, got;
	bool no_memory;
};

/* ---- one entry ------------------------------------------------------------------------------- */

static size_t
letter_of(char c)
{
	return (size_t)(strchr(letters, c) - letters);
}

/* Fits `name` to one component of a template, `pattern` up to `end`, and notes the values of the
 * letters. The first letter of two takes as little as it can. */
static bool
path_list_fits(const char *pattern, const char *end, const char *name, size_t n, struct names *ret)
{
	if (pattern == end)
		return n == 0;
	if (*pattern != '%')
		return n > 0 && *name == *pattern &&
		       path_list_fits(pattern + 1, end, name + 1, n - 1, ret);
	for (size_t k = 1; k <= n; k++) {
		if (!path_list_fits(pattern + 2, end, name + k, n - k, ret))
			continue;
		ret->of[letter_of(pattern[1])] = (struct pm_str){name, k};
		return true;
	}
	return false;
}

/* Makes the key; malloc'd. NULL: it is not the name of a user, or no memory. */
static char *
path_list_key_of(const struct names *w, size_t *ret_n)
{
	struct pm_str u = w->of[0], n = w->of[1], d = w->of[2], k = w->of[3];
	struct pm_str first = k.n   ? k
			      : u.n ? u
				    : n,
		      domain = k.n || u.n ? (struct pm_str){NULL, 0} : d;
	char *key;

	*ret_n = first.n + (domain.n ? domain.n + 1 : 0);
	if (first.n == 0 || *ret_n > PM_KEY_MAX || !(key = malloc(*ret_n)))
		return NULL;
	memcpy(key, first.p, first.n);
	if (domain.n > 0) {
		key[first.n] = '@';
		memcpy(key + first.n + 1, domain.p, domain.n);
	}
	return key;
}

/* Puts a key into the page, if it belongs there. */
static void
path_list_take(struct walk *w, const struct names *names)
{
	struct found f;
	unsigned char sum[EVP_MAX_MD_SIZE];
	size_t at = w->got;

	f.key = path_list_key_of(names, &f.key_n);
	if (!f.key || EVP_Digest(f.key, f.key_n, sum, NULL, EVP_sha256(), NULL) != 1) {
		free(f.key);
		w->no_memory = w->no_memory || errno == ENOMEM;
		return;
	}
	memcpy(f.sum, sum, SUM);
	while (at > 0 && memcmp(w->page[at - 1].sum, f.sum, SUM) > 0)
		at--;
	if (at == w->n || (w->after && memcmp(f.sum, w->after, SUM) <= 0)) {
		free(f.key);
		return;
	}
	if (w->got == w->n)
		free(w->page[--w->got].key);
	memmove(w->page + at + 1, w->page + at, (w->got - at) * sizeof(f));
	w->page[at] = f;
	w->got++;
}

/* ---- the tree -------------------------------------------------------------------------------- */

/* Walks the directory `fd`, and closes it: entries that fit the template's next component. */
static void
walk_down(struct walk *w, int fd, const char *pattern, const struct names *names)
{
	const char *slash = strchr(pattern, '/'), *end = slash ? slash : pattern + strlen(pattern);
	DIR *d = fdopendir(fd);
	struct dirent *e;

	if (!d) {
		(void)close(fd);
		return;
	}
	while ((e = readdir(d)) != NULL && !w->no_memory) {
		struct names mine = *names;
		int sub;

		if (e->d_name[0] == '.' ||
		    !path_list_fits(pattern, end, e->d_name, strlen(e->d_name), &mine))
			continue;
		if (!slash) {
			if (w->is_box(fd, e->d_name))
				path_list_take(w, &mine);
			continue;
		}
		sub = openat(fd, e->d_name,
			     O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
		if (sub != -1)
			walk_down(w, sub, slash + 1, &mine);
	}
	closedir(d);
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
path_list_hand_out(const struct found *f, char *at)
{
	struct pm_box b = {0};

	memcpy(&b.size, at, sizeof(b.size)); /* R1 */
	memcpy(b.key, f->key, f->key_n);
	b.key_len = (uint32_t)f->key_n;
	for (int k = 0; k < SUM; k++)
		snprintf(b.cursor + 2 * k, 3, "%02x", f->sum[k]);
	b.cursor_len = 2 * SUM;
	memcpy(at, &b, b.size < sizeof(b) ? b.size : sizeof(b));
}

int32_t
sdk_path_list(const char *pattern, sdk_is_box is_box, const struct pm_call *call,
	      struct pm_str cursor, size_t n, size_t stride, struct pm_box *ret, size_t *ret_got)
{
	struct walk w = {.is_box = is_box, .n = n};
	unsigned char after[SUM];
	char *prefix = sdk_path_prefix(pattern);
	int root = prefix ? open(prefix, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
	int32_t rc = PM_OK;

	if (strstr(pattern, "%h")) {
		sdk_error(call, "path = %s: mailboxes in homes cannot be listed", pattern);
		rc = PM_UNSUPPORTED;
	} else if (cursor.n > 0 && !cursor_sum(cursor, after)) {
		rc = PM_INVALID;
	} else if (root == -1) {
		sdk_error(call, "'%s': %s", prefix ? prefix : pattern, strerrordesc_np(errno));
		rc = PM_DOWN;
	} else if (!(w.page = calloc(n + 1, sizeof(*w.page)))) {
		rc = PM_NOMEM;
	}
	if (rc == PM_OK) {
		w.after = cursor.n > 0 ? after : NULL;
		errno = 0;
		walk_down(&w, root, pattern + strlen(prefix), &(struct names){0});
		root = -1;
		rc = w.no_memory ? PM_NOMEM : PM_OK;
	}
	for (size_t k = 0; k < w.got; k++) {
		if (rc == PM_OK)
			path_list_hand_out(&w.page[k], (char *)ret + k * stride);
		free(w.page[k].key);
	}
	if (rc == PM_OK)
		*ret_got = w.got;
	free(w.page);
	free(prefix);
	if (root != -1)
		(void)close(root);
	return rc;
}
