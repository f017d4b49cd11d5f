/* SPDX-License-Identifier: Apache-2.0 */
/*
 * process - this process as the database knows it: a row whose `until` is renewed, instead of each
 * lease. The instances of a section share it, so that a reload frees nobody's maildrop; it is kept
 * in a list of the process (R12: that much is shared on purpose). A file of the state directory,
 * locked while the process lives, holds the id of the previous run's row: a restart removes that
 * row, and so frees its maildrops at once. A process that takes no lease leaves the file alone;
 * otherwise a restante-deliver that works while the server is down would count as the previous run.
 */
#include "process.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "db.h"
#include "ids.h"
#include "lease.h"
#include "say.h"
#include "store.h"

#define RENEWALS 9 /* in the time of a lease: each 10 s of 90 s */
#define LAST_MS 1000

struct owed {
	struct owed *next;
	uint64_t mailbox;
	uint8_t owner[ID];
	uint64_t fence;
};

struct process {
	struct process *next;
	char *file; /* identifies it in the list; NULL: a tool's own */
	unsigned refs;
	uint8_t id[ID];
	char name[256];
	pthread_mutex_t mutex; /* for the fields below */
	bool wanted;           /* a lease was asked for, so the row has to exist */
	bool took;             /* the file was read */
	int fd;                /* the locked file; -1: none */
	int64_t tried_ms;      /* when a renewal began */
	int64_t renewed_ms;    /* when one was last done; 0: not yet */
	bool had_before;
	uint8_t before[ID]; /* the row of the previous run */
	struct owed *owed;
};

static pthread_mutex_t list_mutex = PTHREAD_MUTEX_INITIALIZER;
static struct process *list;

/* ---- the file -------------------------------------------------------------------------------- */

static bool
read_hex(const char *s, uint8_t id[ID])
{
	static const char digits[] = "0123456789abcdef";

	for (int k = 0; k < ID; k++) {
		const char *high = memchr(digits, s[2 * k], 16),
			   *low = memchr(digits, s[2 * k + 1], 16);

		if (!high || !low)
			return false;
		id[k] = (uint8_t)((high - digits) << 4 | (low - digits));
	}
	return true;
}

/* Reads the id of the previous run, and writes ours in its place. 0 or an errno; EAGAIN: another
 * process has the file. Under the mutex. */
static int
process_take_file(struct process *s)
{
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
	char text[2 * ID + 2] = "";

	s->took = true;
	s->fd = open(s->file, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (s->fd == -1 || fcntl(s->fd, F_OFD_SETLK, &lock) != 0) {
		int e = s->fd != -1 && errno == EACCES ? EAGAIN : errno;

		if (s->fd != -1)
			(void)close(s->fd);
		s->fd = -1;
		return e;
	}
	s->had_before = pread(s->fd, text, 2 * ID, 0) == 2 * ID && read_hex(text, s->before);
	for (int k = 0; k < ID; k++)
		snprintf(text + (size_t)k * 2, 3, "%02x", s->id[k]);
	text[2 * ID] = '\n';
	errno = ENOSPC; /* for a short write */
	return pwrite(s->fd, text, 2 * ID + 1, 0) == 2 * ID + 1 && fdatasync(s->fd) == 0 ? 0
											 : errno;
}

/* ---- the list -------------------------------------------------------------------------------- */

static char *
process_file_of(const struct pm_open *open)
{
	char *file = NULL;

	if (asprintf(&file, "%.*s/mysql-%.*s.id", (int)open->state_dir.n, open->state_dir.p,
		     (int)open->section.n, open->section.p) == -1)
		return NULL;
	for (char *p = file + open->state_dir.n + 1; *p; p++)
		if (*p == '/')
			*p = '_';
	return file;
}

static struct process *
process_new(const struct pm_open *open, char *file)
{
	struct process *s = calloc(1, sizeof(*s));
	char host[128] = "";

	if (!s)
		return NULL;
	(void)gethostname(host, sizeof(host) - 1);
	snprintf(s->name, sizeof(s->name), "%s %ld %.*s", host, (long)getpid(),
		 (int)(open->section.n % 100), open->section.p);
	pthread_mutex_init(&s->mutex, NULL);
	ids_random(s->id, sizeof(s->id));
	s->file = file;
	s->fd = -1;
	s->refs = 1;
	return s;
}

struct process *
process_get(const struct pm_open *open)
{
	bool tool = open->purpose == PM_PURPOSE_TOOL;
	char *file = tool ? NULL : process_file_of(open);
	struct process *s;

	if (!tool && !file)
		return NULL;
	pthread_mutex_lock(&list_mutex);
	for (s = tool ? NULL : list; s; s = s->next)
		if (strcmp(s->file, file) == 0)
			break;
	if (s) {
		s->refs++;
		free(file);
	} else if ((s = process_new(open, file)) != NULL && !tool) {
		s->next = list;
		list = s;
	} else if (!s) {
		free(file);
	}
	pthread_mutex_unlock(&list_mutex);
	return s;
}

const uint8_t *
process_id(const struct process *s)
{
	return s->id;
}

/* ---- the row --------------------------------------------------------------------------------- */

/* True if this call has to renew. One of us is enough, unless the row may be missing or expired:
 * then a lease that names it protects nobody. */
static bool
renewal_due(struct inst *i, bool now, int64_t t)
{
	struct process *s = i->process;
	bool due;
	int e = 0;

	pthread_mutex_lock(&s->mutex);
	s->wanted = s->wanted || now;
	if (s->wanted && !s->took && s->file)
		e = process_take_file(s);
	due = s->wanted && (s->renewed_ms == 0 || t - s->renewed_ms >= i->lease_ms / 2 ||
			    t - s->tried_ms >= i->lease_ms / RENEWALS);
	if (due)
		s->tried_ms = t;
	pthread_mutex_unlock(&s->mutex);
	if (e != 0)
		sdk_log(i->host, PM_LOG_WARNING,
			"%s: %s; after a crash maildrops stay locked until their leases end",
			s->file, e == EAGAIN ? "another process has it" : strerrordesc_np(e));
	return due;
}

/* Frees the leases of the previous run: its process is dead, or the file would be locked. */
static int32_t
forget_before(struct db *d, struct process *s)
{
	struct db_arg arg = DB_S(s->before, ID);
	int32_t rc;
	bool had;

	pthread_mutex_lock(&s->mutex);
	had = s->had_before;
	s->had_before = false;
	pthread_mutex_unlock(&s->mutex);
	rc = had ? db_exec(d, ST_SERVER_GONE, &arg, 1) : PM_OK;
	if (rc != PM_OK) {
		pthread_mutex_lock(&s->mutex);
		s->had_before = true;
		pthread_mutex_unlock(&s->mutex);
	}
	return rc;
}

int32_t
process_renew(struct db *d, struct inst *i, bool now)
{
	return renewal_due(i, now, i->host->now_ms(i->host->ctx)) ? process_write(d, i) : PM_OK;
}

int32_t
process_write(struct db *d, struct inst *i)
{
	struct process *s = i->process;
	struct db_arg args[] = {DB_S(s->id, ID), DB_S(s->name, strlen(s->name)), DB_U(i->lease_ms)};
	int64_t t = i->host->now_ms(i->host->ctx);
	int32_t rc = db_exec(d, ST_SERVER_SEEN, args, 3);

	pthread_mutex_lock(&s->mutex);
	if (rc == PM_OK)
		s->renewed_ms = t;
	else
		s->tried_ms = 0;
	pthread_mutex_unlock(&s->mutex);
	return rc == PM_OK ? forget_before(d, s) : rc;
}

/* ---- leases that could not be given back ----------------------------------------------------- */

void
process_owe(struct process *s, const struct lease *l)
{
	struct owed *o = malloc(sizeof(*o));

	if (!o)
		return; /* it becomes free when this process ends */
	o->mailbox = l->mailbox;
	memcpy(o->owner, l->owner, ID);
	o->fence = l->fence;
	pthread_mutex_lock(&s->mutex);
	o->next = s->owed;
	s->owed = o;
	pthread_mutex_unlock(&s->mutex);
}

static struct owed *
owed_take(struct process *s, uint64_t mailbox)
{
	struct owed *o, **link;

	pthread_mutex_lock(&s->mutex);
	for (link = &s->owed; (o = *link) != NULL; link = &o->next)
		if (mailbox == 0 || o->mailbox == mailbox)
			break;
	if (o)
		*link = o->next;
	pthread_mutex_unlock(&s->mutex);
	return o;
}

int32_t
process_pay(struct db *d, struct process *s, uint64_t mailbox)
{
	struct owed *o;

	while ((o = owed_take(s, mailbox)) != NULL) {
		int32_t rc = lease_drop(d, o->mailbox, o->owner, o->fence);

		if (rc != PM_OK) {
			pthread_mutex_lock(&s->mutex);
			o->next = s->owed;
			s->owed = o;
			pthread_mutex_unlock(&s->mutex);
			return rc;
		}
		free(o);
	}
	return PM_OK;
}

/* ---- the end --------------------------------------------------------------------------------- */

static void *
no_alloc(const struct pm_call *call, size_t n)
{
	(void)call;
	(void)n;
	return NULL;
}

static void
no_error(const struct pm_call *call, struct pm_str text)
{
	(void)call;
	(void)text;
}

static int32_t
not_cancelled(const struct pm_call *call)
{
	(void)call;
	return 0;
}

static int32_t
process_leave(struct db *d, void *arg)
{
	struct db_arg id = DB_S(((struct process *)arg)->id, ID);

	return db_exec(d, ST_SERVER_GONE, &id, 1);
}

void
process_put(struct inst *i)
{
	struct process *s = i->process, **link;
	struct pm_call call = {.size = sizeof(call),
			       .deadline_ms = i->host->now_ms(i->host->ctx) + LAST_MS,
			       .alloc = no_alloc,
			       .error = no_error,
			       .cancelled = not_cancelled};
	bool last;

	pthread_mutex_lock(&list_mutex);
	last = --s->refs == 0;
	for (link = &list; last && *link; link = &(*link)->next)
		if (*link == s) {
			*link = s->next;
			break;
		}
	pthread_mutex_unlock(&list_mutex);
	if (!last)
		return;
	if (s->renewed_ms != 0) {
		s->wanted = false;
		(void)db_do(&i->pool, &call, 0, process_leave, s);
	}
	for (struct owed *o; (o = owed_take(s, 0)) != NULL;)
		free(o);
	if (s->fd != -1)
		(void)close(s->fd);
	pthread_mutex_destroy(&s->mutex);
	free(s->file);
	free(s);
}
