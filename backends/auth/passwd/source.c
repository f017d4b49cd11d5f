/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The tables in force. Each file is looked at (look.c) at most once a second, outside the lock;
 * the table is swapped by reference.
 */
#include "source.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "passwd.h"
#include "say.h"

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

/* Anybody may ask for domains that do not exist: a place that nobody needs is given to the next
 * one. */
static void
drop_empty(struct inst *i)
{
	struct source **at = &i->sources, *s;

	while ((s = *at) != NULL && !(!s->table && !s->reading && s->users == 0))
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
		drop_empty(i);
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
	s->looked_ms = s->look.now_ms = INT64_MIN / 2;
	s->next = i->sources;
	i->sources = s;
	i->n_sources++;
	return s;
}

/* Looks, and swaps the table. Called without the mutex by the one that set `reading`. */
static void
source_look(struct inst *i, struct source *s)
{
	struct table *t = NULL, *old = NULL;
	bool known = s->table && !s->part;
	enum look_verdict v = look(i, s, &t);
	size_t n = t ? t->n : 0;

	if (v == LOOK_WHOLE && (known || i->per_domain)) /* else passwd_check has said it */
		look_say_odd(i->host, s->path, t);
	pthread_mutex_lock(&i->mutex);
	if (v != LOOK_KEEP) {
		old = s->table;
		s->table = t;
		s->part = v == LOOK_PART;
		s->absent = v == LOOK_GONE;
	} else if (!s->table) {
		s->absent = false; /* something is there, or may be */
	}
	s->reading = false;
	pthread_mutex_unlock(&i->mutex);
	pthread_cond_broadcast(&i->read); /* all first logins wait for it */
	if (old)
		/* what was true of the old file */
		i->host->invalidate(i->host->ctx, (struct pm_str){"", 0});
	if (known && v == LOOK_WHOLE)
		sdk_log(i->host, PM_LOG_NOTICE, "'%s' was read again: %zu accounts", s->path, n);
	if (known && v == LOOK_GONE)
		sdk_log(i->host, PM_LOG_NOTICE, "'%s' is gone, and with it %zu accounts", s->path,
			old->n);
	table_put(old);
}

/* Under the mutex. */
static enum source_state
source_state(const struct source *s)
{
	if (s->part)
		return SOURCE_PART;
	return s->table ? SOURCE_WHOLE : s->absent ? SOURCE_MISSING : SOURCE_FAILED;
}

struct table *
source_table(struct inst *i, const char *domain, size_t n, enum source_state *ret_state)
{
	int64_t now = i->host->now_ms(i->host->ctx);
	struct table *t = NULL;
	struct source *s;

	*ret_state = SOURCE_MISSING;
	if (i->per_domain && !domain_ok(domain, n))
		return NULL;
	*ret_state = SOURCE_FAILED;
	pthread_mutex_lock(&i->mutex);
	s = source_get(i, i->per_domain ? domain : "", i->per_domain ? n : 0);
	if (!s) {
		pthread_mutex_unlock(&i->mutex);
		return NULL;
	}
	s->users++;
	if (!s->reading && now - s->looked_ms >= LOOK_MS) {
		s->reading = true;
		s->looked_ms = now;
		pthread_mutex_unlock(&i->mutex);
		source_look(i, s);
		pthread_mutex_lock(&i->mutex);
	}
	while (!s->table && s->reading)
		pthread_cond_wait(&i->read, &i->mutex); /* for a file's first reading only */
	t = table_ref(s->table);
	*ret_state = source_state(s);
	s->users--;
	pthread_mutex_unlock(&i->mutex);
	return t;
}
