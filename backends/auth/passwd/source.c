/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The files: each is looked at (stat) at most once a second and read again when it changed; a
 * broken new one keeps the old and says which line. Parsing happens outside the lock; the table is
 * swapped by reference.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "conf.h"
#include "passwd.h"

#define FILE_MAX_BYTES (256u << 20)
#define LOOK_MS 1000
#define DOMAINS_MAX 4096

static bool
domain_ok(const char *d, size_t n)
{
	return n > 0 && n < 256 && d[0] != '.' && !memchr(d, '/', n) && !memchr(d, '\0', n);
}

static char *
path_make(const char *pattern, const char *domain, size_t n)
{
	const char *mark = strstr(pattern, "%d");
	char *path = NULL;

	if (!mark)
		return strdup(pattern);
	if (asprintf(&path, "%.*s%.*s%s", (int)(mark - pattern), pattern, (int)n, domain,
		     mark + 2) < 0)
		return NULL;
	return path;
}

static bool
source_same_file(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size &&
	       a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

/* The whole file; NULL: err says why. *ret_st is of what was read. */
static char *
source_read_whole(const char *path, struct stat *ret_st, size_t *ret_n, char *err, size_t errlen)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	char *text = NULL;
	size_t n = 0;

	if (fd == -1 || fstat(fd, ret_st) != 0) {
		snprintf(err, errlen, "%s", strerrordesc_np(errno));
		goto out;
	}
	if (!S_ISREG(ret_st->st_mode) || ret_st->st_size > FILE_MAX_BYTES) {
		snprintf(err, errlen, "not a regular file of at most 256 MiB");
		goto out;
	}
	text = malloc((size_t)ret_st->st_size + 1);
	while (text && n < (size_t)ret_st->st_size) {
		ssize_t got = read(fd, text + n, (size_t)ret_st->st_size - n);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0) {
			snprintf(err, errlen, "%s", strerrordesc_np(errno));
			free(text);
			text = NULL;
			goto out;
		}
		if (got == 0)
			break; /* it became shorter; its next look tells */
		n += (size_t)got;
	}
	if (!text)
		snprintf(err, errlen, "no memory");
	*ret_n = n;
out:
	if (fd != -1)
		(void)close(fd);
	return text;
}

struct table *
source_parse(const char *path, struct stat *ret_st, char *err, size_t errlen)
{
	size_t n = 0;
	char *text = source_read_whole(path, ret_st, &n, err, errlen);

	return text ? table_parse(text, n, err) : NULL;
}

/* Anybody may ask for domains that do not exist: a place that nobody needs is given to the next
 * one. */
static void
drop_absent(struct inst *i)
{
	struct source **at = &i->sources, *s;

	while ((s = *at) != NULL && !(s->absent && !s->table && !s->reading && s->users == 0))
		at = &s->next;
	if (!s)
		return;
	*at = s->next;
	i->n_sources--;
	free(s->domain);
	free(s->path);
	free(s);
}

/* Under the mutex. NULL: no memory, or too many domains. */
static struct source *
source_get(struct inst *i, const char *domain, size_t n)
{
	struct source *s = i->sources;

	while (s && (strlen(s->domain) != n || memcmp(s->domain, domain, n) != 0))
		s = s->next;
	if (!s && i->n_sources >= DOMAINS_MAX)
		drop_absent(i);
	if (s || i->n_sources >= DOMAINS_MAX)
		return s;
	s = calloc(1, sizeof(*s));
	if (!s)
		return NULL;
	s->domain = strndup(domain, n);
	s->path = path_make(i->file, domain, n);
	if (!s->domain || !s->path) {
		free(s->domain);
		free(s->path);
		free(s);
		return NULL;
	}
	s->looked_ms = INT64_MIN / 2;
	s->next = i->sources;
	i->sources = s;
	i->n_sources++;
	return s;
}

/* Reads a changed file and swaps the table. Called without the mutex by the one that set
 * `reading`. */
static void
source_read(struct inst *i, struct source *s, bool known)
{
	char err[256] = "";
	struct stat st = {0};
	struct table *t = source_parse(s->path, &st, err, sizeof(err)), *old = NULL;
	bool absent = !t && access(s->path, F_OK) != 0 && errno == ENOENT;
	size_t n = t ? t->n : 0;

	if (!t && (known || !absent))
		sdk_count(i->host, "file_errors", 1);
	if (!t && (known || !absent))
		sdk_log(i->host, PM_LOG_ERROR, "'%s': %s; %s", s->path, err,
			known ? "the accounts read before stay in force"
			      : "nobody in it can log in");
	pthread_mutex_lock(&i->mutex);
	if (t) {
		old = s->table;
		s->table = t;
	}
	if (t || st.st_ino)
		s->seen = st; /* a broken file is not read again until it changes */
	s->reading = false;
	s->absent = absent;
	pthread_mutex_unlock(&i->mutex);
	pthread_cond_broadcast(&i->read); /* all first logins wait for it */
	table_put(old);
	if (old)
		/* what was true of the old file */
		i->host->invalidate(i->host->ctx, (struct pm_str){"", 0});
	if (old)
		sdk_log(i->host, PM_LOG_NOTICE, "'%s' was read again: %zu accounts", s->path, n);
}

struct table *
source_table(struct inst *i, const char *domain, size_t n, bool *ret_missing)
{
	int64_t now = i->host->now_ms(i->host->ctx);
	struct table *t = NULL;
	bool look = false, known = false;
	struct source *s;
	struct stat st, seen = {0};

	*ret_missing = false;
	if (i->per_domain && !domain_ok(domain, n)) {
		*ret_missing = true;
		return NULL;
	}
	pthread_mutex_lock(&i->mutex);
	s = source_get(i, i->per_domain ? domain : "", i->per_domain ? n : 0);
	if (s)
		s->users++;
	if (s && !s->reading && now - s->looked_ms >= LOOK_MS) {
		look = s->reading = true;
		s->looked_ms = now;
		known = s->table != NULL;
		seen = s->seen;
	}
	pthread_mutex_unlock(&i->mutex);
	if (!s)
		return NULL;
	if (look) {
		if (stat(s->path, &st) != 0 || !source_same_file(&st, &seen)) {
			source_read(i, s, known);
		} else {
			pthread_mutex_lock(&i->mutex);
			s->reading = false;
			pthread_mutex_unlock(&i->mutex);
		}
	}
	pthread_mutex_lock(&i->mutex);
	while (!s->table && s->reading)
		pthread_cond_wait(&i->read, &i->mutex); /* for a file's first reading only */
	t = table_ref(s->table);
	*ret_missing = !t && i->per_domain && s->absent;
	s->users--;
	pthread_mutex_unlock(&i->mutex);
	return t;
}
