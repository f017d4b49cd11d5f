/* SPDX-License-Identifier: Apache-2.0 */
/*
 * look - is a file to be believed as it is now? While a file is written in place it is one with
 * fewer accounts, and a copy may break off: mail for those who are missing then would bounce, and
 * their passwords would be wrong. So
 *
 *   - a file is believed when it has been at rest for two seconds, or was put there whole: it is
 *     another one than before, and its last change was no write (it was renamed, or got its owner
 *     or its times, after that: ctime is later than mtime);
 *   - a last line without an end was cut off, however old it is, and so was an empty file;
 *   - one that was written in place and has lost more than half of its accounts is looked at once
 *     more, ten seconds later;
 *   - a domain's file that is not there for two seconds was taken away, if its directory is there.
 *
 * Until then the accounts read before stay in force. Without any, what a file says while it is
 * written holds for those who are in it; of all others nothing is known.
 *
 * Clocks differ, and are set: how long a file has been at rest is measured by our own one while
 * somebody looks. The time of day and the file's times count for the while that nobody looked.
 */
#include "look.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "names.h"
#include "passwd.h"
#include "say.h"
#include "source.h"

#define FILE_MAX_BYTES (256u << 20)
#define REST_MS 2000
#define SECOND_LOOK_MS 10000
#define CHECK_TRIES 25
#define CHECK_AGAIN_US 100000

enum { SAID_WRITTEN = 1, SAID_SHRUNK = 2, SAID_UNREAD = 4 };

static bool
same_time(struct timespec a, struct timespec b)
{
	return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
}

static bool
is_later(struct timespec a, struct timespec b)
{
	return a.tv_sec > b.tv_sec || (a.tv_sec == b.tv_sec && a.tv_nsec > b.tv_nsec);
}

static bool
same_file(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size &&
	       same_time(a->st_mtim, b->st_mtim) && same_time(a->st_ctim, b->st_ctim);
}

static int64_t
age_ms(const struct pm_host *host, const struct stat *st)
{
	struct timespec t = is_later(st->st_ctim, st->st_mtim) ? st->st_ctim : st->st_mtim;

	return host->wall_ms(host->ctx) - ((int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000);
}

/* ---- reading --------------------------------------------------------------------------------- */

/* A file that was read: broken is what will not be better the next time. */
struct text {
	struct stat st;
	bool broken;
	char err[256];
};

/* All of it, *ret_n bytes; NULL: ret->err says why. */
static char *
read_whole(int fd, size_t size, size_t *ret_n, struct text *ret)
{
	char *text = malloc(size + 1);
	size_t n = 0;

	if (!text)
		snprintf(ret->err, sizeof(ret->err), "no memory");
	while (text && n < size) {
		ssize_t got = read(fd, text + n, size - n);

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0) {
			snprintf(ret->err, sizeof(ret->err), "%s",
				 got < 0 ? strerrordesc_np(errno) : "cut while it was read");
			explicit_bzero(text, n);
			free(text);
			return NULL;
		}
		n += (size_t)got;
	}
	*ret_n = n;
	return text;
}

/* Is the text whole, as far as that can be seen? */
static bool
ends_well(const char *p, size_t n, struct text *ret)
{
	unsigned line = 1;

	if (n > 0 && p[n - 1] == '\n')
		return true;
	for (size_t k = 0; k < n; k++)
		line += p[k] == '\n';
	if (n == 0)
		snprintf(ret->err, sizeof(ret->err),
			 "the file is empty: a line with # says that there are no accounts");
	else
		snprintf(ret->err, sizeof(ret->err),
			 "line %u has no end: the file may have been cut off there; end the line "
			 "if it is whole",
			 line);
	ret->broken = true;
	return false;
}

/* With `part` it need not be whole: a line without an end is left out. NULL: ret says why. */
static struct table *
text_read(const char *path, bool part, bool lower, struct text *ret)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct table *t = NULL;
	char *text = NULL;
	size_t n = 0;

	*ret = (struct text){.broken = false};
	if (fd == -1 || fstat(fd, &ret->st) != 0) {
		snprintf(ret->err, sizeof(ret->err), "%s", strerrordesc_np(errno));
	} else if (!S_ISREG(ret->st.st_mode) || ret->st.st_size > FILE_MAX_BYTES) {
		snprintf(ret->err, sizeof(ret->err), "not a regular file of at most 256 MiB");
		ret->broken = true;
	} else {
		text = read_whole(fd, (size_t)ret->st.st_size, &n, ret);
		if (!text)
			(void)fstat(fd, &ret->st); /* cut just now, maybe */
	}
	while (text && part && n > 0 && text[n - 1] != '\n')
		text[--n] = '\0'; /* half a hash, maybe */
	if (text && (part || ends_well(text, n, ret))) {
		t = table_parse(text, n, ret->err); /* takes it over */
		ret->broken = !t && errno != ENOMEM;
		text = NULL;
		if (t)
			names_settle(t, lower);
	}
	if (text)
		explicit_bzero(text, n);
	free(text);
	if (fd != -1)
		(void)close(fd);
	return t;
}

struct table *
look_once(const struct pm_host *host, const char *path, bool lower, char *err, size_t errlen)
{
	struct text text;
	struct table *t = text_read(path, false, lower, &text);

	for (int k = 0; k < CHECK_TRIES && !t && age_ms(host, &text.st) < REST_MS; k++) {
		(void)usleep(CHECK_AGAIN_US);
		t = text_read(path, false, lower, &text);
	}
	if (!t)
		snprintf(err, errlen, "%s", text.err);
	return t;
}

void
look_say_odd(const struct pm_host *host, const char *path, const struct table *t)
{
	if (t && t->odd.n > 0)
		sdk_log(host, PM_LOG_WARNING, "'%s': line %u: %s; %zu such lines in all", path,
			t->odd.line, t->odd.why, t->odd.n);
}

/* ---- judging --------------------------------------------------------------------------------- */

/* For the first time of this file? */
static bool
not_said(struct look *l, unsigned what)
{
	bool new = !(l->said & what);

	l->said |= what;
	return new;
}

/* A file that is not the one judged last. */
static void
look_notice(struct look *l, const struct stat *st, int64_t last_ms)
{
	if (l->pending && same_file(st, &l->st))
		return;
	l->pending = true;
	l->st = *st;
	l->since_ms = l->now_ms;
	l->gap_ms = l->now_ms - last_ms;
	l->said &= SAID_WRITTEN; /* once, however long that takes */
}

static void
look_judge(struct look *l, const struct stat *st)
{
	l->judged = *st;
	l->pending = false;
	l->said = 0;
}

static bool
is_known(const struct source *s)
{
	return s->table && !s->part;
}

static bool
put_there_whole(const struct look *l)
{
	return (l->st.st_ino != l->judged.st_ino || l->st.st_dev != l->judged.st_dev) &&
	       l->st.st_size > 0 && is_later(l->st.st_ctim, l->st.st_mtim);
}

/* Since when it looks like this: seen, or, while nobody looked, by the time of day. */
static int64_t
rest_ms(const struct inst *i, const struct look *l)
{
	int64_t seen = l->now_ms - l->since_ms, age = age_ms(i->host, &l->st);

	age = age < l->gap_ms ? age : l->gap_ms;
	return age > seen ? age : seen;
}

static enum look_verdict
look_fail(struct inst *i, struct source *s, const char *err)
{
	sdk_count(i->host, "file_errors", 1);
	sdk_log(i->host, PM_LOG_ERROR, "'%s': %s; %s", s->path, err,
		is_known(s) ? "the accounts read before stay in force" : "nobody in it can log in");
	return is_known(s) ? LOOK_KEEP : LOOK_FAILED;
}

static enum look_verdict
look_young(struct inst *i, struct source *s, struct table **ret)
{
	struct text text;

	if (is_known(s)) {
		if (not_said(&s->look, SAID_WRITTEN))
			sdk_log(i->host, PM_LOG_NOTICE,
				"'%s' is being written: until that is over the accounts read "
				"before stay in force",
				s->path);
		return LOOK_KEEP;
	}
	*ret = text_read(s->path, true, i->lower, &text);
	return LOOK_PART;
}

/* Fewer than half, in a file that was written in place: another part of them may be to come. */
static bool
look_shrunk(struct inst *i, struct source *s, const struct table *t)
{
	struct look *l = &s->look;

	if (!is_known(s) || t->n * 2 >= s->table->n || put_there_whole(l) ||
	    rest_ms(i, l) >= SECOND_LOOK_MS)
		return false;
	if (not_said(l, SAID_SHRUNK))
		sdk_log(i->host, PM_LOG_WARNING,
			"'%s' holds %zu accounts now, and %zu before: it is looked at again in "
			"ten seconds, until then the accounts read before stay in force",
			s->path, t->n, s->table->n);
	return true;
}

static enum look_verdict
look_read(struct inst *i, struct source *s, struct table **ret)
{
	struct look *l = &s->look;
	struct text text;
	struct stat after;
	struct table *t;

	if ((l->said & SAID_SHRUNK) && rest_ms(i, l) < SECOND_LOOK_MS)
		return LOOK_KEEP;
	t = text_read(s->path, false, i->lower, &text);
	if (!t && !text.broken)
		return not_said(l, SAID_UNREAD) ? look_fail(i, s, text.err) : LOOK_KEEP;
	if (stat(s->path, &after) != 0 || !same_file(&after, &l->st) ||
	    !same_file(&text.st, &l->st) || (t && look_shrunk(i, s, t))) {
		table_put(t); /* it changed meanwhile, or is looked at again */
		return LOOK_KEEP;
	}
	look_judge(l, &text.st); /* a broken file is not read again until it changes */
	if (!t)
		return look_fail(i, s, text.err);
	l->root_dev = stat(i->root, &after) == 0 ? after.st_dev : 0;
	*ret = t;
	return LOOK_WHOLE;
}

/* ---- no file --------------------------------------------------------------------------------- */

/* Is there really none? Not to be seen is also a file on a disk that is away: its directory or
 * a link on the way leads nowhere, or to another file system than when it was read. */
static bool
is_gone(const struct inst *i, const struct source *s)
{
	size_t n = strlen(i->root);
	char part[PATH_MAX];
	struct stat st;

	if (stat(i->root, &st) != 0 || (is_known(s) && st.st_dev != s->look.root_dev))
		return false;
	while (s->path[n]) {
		n += strspn(s->path + n, "/");
		n += strcspn(s->path + n, "/");
		if (n >= sizeof(part))
			return true;
		memcpy(part, s->path, n);
		part[n] = '\0';
		if (stat(part, &st) != 0)
			return (errno == ENOENT || errno == ENAMETOOLONG) && lstat(part, &st) != 0;
	}
	return false; /* here it is again */
}

static enum look_verdict
look_missing(struct inst *i, struct source *s, int error)
{
	const struct stat none = {0};
	struct look *l = &s->look;

	if (!i->per_domain || !is_gone(i, s)) {
		l->since_ms = l->now_ms; /* the time its directory is away does not count */
		return not_said(l, SAID_UNREAD) ? look_fail(i, s, strerrordesc_np(error))
						: LOOK_KEEP;
	}
	if (s->table && l->now_ms - l->since_ms < REST_MS)
		return LOOK_KEEP;
	look_judge(l, &none);
	return LOOK_GONE;
}

enum look_verdict
look(struct inst *i, struct source *s, struct table **ret)
{
	struct look *l = &s->look;
	int64_t last_ms = l->now_ms;
	struct stat st = {0};
	int error = stat(s->path, &st) == 0 ? 0 : errno;

	l->now_ms = i->host->now_ms(i->host->ctx);
	if (!error && same_file(&st, &l->judged)) {
		l->pending = false;
		l->said = 0;
		return LOOK_KEEP;
	}
	if (error)
		st = (struct stat){0};
	look_notice(l, &st, last_ms);
	if (error)
		return look_missing(i, s, error);
	if (put_there_whole(l) || rest_ms(i, l) >= REST_MS)
		return look_read(i, s, ret);
	return look_young(i, s, ret);
}
