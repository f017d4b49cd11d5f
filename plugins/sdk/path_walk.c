/* SPDX-License-Identifier: Apache-2.0 */
#include "path_walk.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "path_fit.h"
#include "say.h"

#define SLICE_MS 150 /* R7 allows 200 */

/* A directory on the way down, and the entry of the one above that led to it. */
struct level {
	char name[NAME_MAX + 1];
	struct fit fit;      /* parts of the names of this level and those above */
	const char *pattern; /* the component that entries have to fit */
	DIR *dir;
};

struct walk {
	bool from_start;
	unsigned char after[SUM];
	size_t window;
	uint64_t number;
	bool cut;    /* there are more keys than the window has room for: */
	bool done;   /* then, once it is done, `all` is in order */
	bool barred; /* a directory that may not be read was logged */
	struct found *all;
	size_t n, cap;
	struct level *levels; /* one more than the template has components: the entry itself */
	size_t deep;          /* open directories */
};

/* ---- the window ------------------------------------------------------------------------------ */

static int
found_order(const void *a, const void *b)
{
	return memcmp(((const struct found *)a)->sum, ((const struct found *)b)->sum, SUM);
}

/* Sorts, and drops all beyond the window. */
static void
walk_cut(struct walk *w)
{
	if (w->n > 1)
		qsort(w->all, w->n, sizeof(*w->all), found_order);
	while (w->n > w->window) {
		free(w->all[--w->n].key);
		w->cut = true;
	}
}

/* True if a key of this sum is one of the next, as far as is known now. */
static bool
walk_wants(struct walk *w, const unsigned char *sum)
{
	if (!w->from_start && memcmp(sum, w->after, SUM) <= 0)
		return false;
	if (!w->cut)
		return true;
	/* the first `window` are in order since the last cut, and nothing greater is needed */
	return memcmp(sum, w->all[w->window - 1].sum, SUM) < 0;
}

static int32_t
walk_keep(struct walk *w, const unsigned char *sum, const char *key, size_t n)
{
	struct found *f;

	if (w->n == 2 * w->window)
		walk_cut(w);
	if (w->n == w->cap) {
		size_t cap = w->cap ? 2 * w->cap : 64;

		cap = cap < 2 * w->window ? cap : 2 * w->window;
		f = realloc(w->all, cap * sizeof(*f));
		if (!f)
			return PM_NOMEM;
		w->all = f;
		w->cap = cap;
	}
	f = &w->all[w->n];
	f->key = malloc(n);
	if (!f->key)
		return PM_NOMEM;
	memcpy(f->key, key, n);
	memcpy(f->sum, sum, SUM);
	f->n = n;
	w->n++;
	return PM_OK;
}

/* ---- the tree -------------------------------------------------------------------------------- */

/* Of a template without its fixed part. */
static size_t
count_components(const char *below)
{
	size_t n = 1;

	for (; *below; below++)
		n += *below == '/';
	return n;
}

struct walk *
walk_new(int fd, const char *below, const unsigned char *after, size_t window, uint64_t number)
{
	struct walk *w = calloc(1, sizeof(*w));

	if (w)
		w->levels = calloc(count_components(below) + 1, sizeof(*w->levels));
	if (!w || !w->levels || !(w->levels[0].dir = fdopendir(fd))) {
		(void)close(fd);
		walk_free(w);
		return NULL;
	}
	w->levels[0].pattern = below;
	w->deep = 1;
	w->window = window;
	w->number = number;
	w->from_start = !after;
	if (after)
		memcpy(w->after, after, SUM);
	return w;
}

void
walk_free(struct walk *w)
{
	if (!w)
		return;
	while (w->deep > 0)
		closedir(w->levels[--w->deep].dir);
	for (size_t k = 0; k < w->n; k++)
		free(w->all[k].key);
	free(w->all);
	free(w->levels);
	free(w);
}

/* The path of an entry of the deepest directory, beneath the template's fixed part. */
static const char *
walk_where(const struct walk *w, const char *name, char *buf, size_t cap)
{
	size_t n = 0;

	buf[0] = '\0';
	for (size_t k = 1; k < w->deep && n < cap; k++)
		n += (size_t)snprintf(buf + n, cap - n, "%s/", w->levels[k].name);
	if (n < cap)
		snprintf(buf + n, cap - n, "%s", name);
	return buf;
}

/* Files that come and go, and entries that are no directories, are not in the list; nor are those
 * the server may not enter, since no session could. Anything else would make a list that lacks
 * mailboxes. */
static int32_t
walk_failed(struct walk *w, const struct pm_host *host, const struct pm_call *call,
	    const char *name)
{
	char buf[PM_PATH_MAX];
	int e = errno;

	if (e == ENOENT || e == ENOTDIR || e == ELOOP)
		return PM_OK;
	if (e != EACCES) {
		sdk_error(call, "mailboxes cannot be listed: '%s': %s",
			  walk_where(w, name, buf, sizeof(buf)), strerrordesc_np(e));
		return PM_TEMP;
	}
	if (!w->barred)
		sdk_log(host, PM_LOG_WARNING,
			"the list of mailboxes leaves out '%s', and whatever else the server may "
			"not read: %s",
			walk_where(w, name, buf, sizeof(buf)), strerrordesc_np(e));
	w->barred = true;
	return PM_OK;
}

/* The entry of the last component: a mailbox, or not. It is looked at if its key is wanted. */
static int32_t
walk_leaf(struct walk *w, const struct level *up, const struct level *leaf, sdk_is_box is_box)
{
	unsigned char sum[EVP_MAX_MD_SIZE];
	char key[PM_KEY_MAX];
	size_t n = fit_key(&leaf->fit, key);
	int is;

	if (n == 0)
		return PM_OK;
	if (EVP_Digest(key, n, sum, NULL, EVP_sha256(), NULL) != 1)
		return PM_NOMEM;
	if (!walk_wants(w, sum))
		return PM_OK;
	is = is_box(dirfd(up->dir), leaf->name);
	return is == 1 ? walk_keep(w, sum, key, n) : is == 0 ? PM_OK : PM_TEMP;
}

/* One entry of the deepest directory. */
static int32_t
walk_entry(struct walk *w, const char *name, const struct pm_host *host, const struct pm_call *call,
	   sdk_is_box is_box)
{
	struct level *up = &w->levels[w->deep - 1], *l = up + 1;
	const char *slash = strchr(up->pattern, '/'),
		   *end = slash ? slash : up->pattern + strlen(up->pattern);
	size_t n = strlen(name);
	int32_t rc;
	int fd;

	/* a volume's lost+found is root's and nobody's mailbox */
	if (*name == '.' || n >= sizeof(l->name) || strcmp(name, "lost+found") == 0)
		return PM_OK;
	memcpy(l->name, name, n + 1);
	l->fit = up->fit;
	if (!fit_name(up->pattern, end, l->name, n, &l->fit))
		return PM_OK;
	if (!slash) {
		rc = walk_leaf(w, up, l, is_box);
		return rc == PM_TEMP ? walk_failed(w, host, call, name) : rc;
	}
	fd = openat(dirfd(up->dir), name,
		    O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (fd == -1)
		return walk_failed(w, host, call, name);
	l->dir = fdopendir(fd);
	if (!l->dir) {
		(void)close(fd);
		return PM_NOMEM;
	}
	l->pattern = slash + 1;
	w->deep++;
	return PM_OK;
}

int32_t
walk_slice(struct walk *w, const struct pm_host *host, const struct pm_call *call,
	   sdk_is_box is_box)
{
	int64_t until = host->now_ms(host->ctx) + SLICE_MS;
	int32_t rc = PM_OK;

	for (size_t looked = 0; w->deep > 0 && rc == PM_OK; looked++) {
		const struct dirent *e;

		if (looked > 0 && host->now_ms(host->ctx) >= until)
			return PM_AGAIN;
		errno = 0;
		e = readdir(w->levels[w->deep - 1].dir);
		if (e)
			rc = walk_entry(w, e->d_name, host, call, is_box);
		else if (errno)
			rc = walk_failed(w, host, call, "");
		else
			closedir(w->levels[--w->deep].dir);
	}
	if (rc != PM_OK)
		return rc;
	walk_cut(w);
	w->done = true;
	return PM_OK;
}

/* ---- the window, read ------------------------------------------------------------------------ */

uint64_t
walk_number(const struct walk *w)
{
	return w->number;
}

bool
walk_is_done(const struct walk *w)
{
	return w->done;
}

bool
walk_is_after(const struct walk *w, const unsigned char *after)
{
	return after ? !w->from_start && memcmp(w->after, after, SUM) == 0 : w->from_start;
}

bool
walk_has(const struct walk *w, const unsigned char *after, size_t n, const struct found **ret,
	 size_t *ret_n)
{
	size_t low = 0, high = w->n;

	if (!after ? !w->from_start : !w->from_start && memcmp(after, w->after, SUM) < 0)
		return false;
	while (after && low < high) {
		size_t mid = low + (high - low) / 2;

		if (memcmp(w->all[mid].sum, after, SUM) <= 0)
			low = mid + 1;
		else
			high = mid;
	}
	*ret = w->all + low;
	*ret_n = w->n - low;
	return !w->cut || *ret_n >= n;
}
