/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Appending that a crash does not leave half done. Before the first byte goes to the mailbox a
 * record of the append is durable: where the file ended, and the text to be appended, its large
 * part by the name of a file in incoming/. The record is removed when all of the text is in the
 * mailbox, synced. If a crash leaves it, the next one who has the locks compares the mailbox with
 * it:
 *
 *   all of it is there           it was delivered, whatever the sender believes; the record goes
 *   its beginning, then the end  cut off: nothing was promised
 *   its beginning, then mail     the mail came later: the beginning is cut out, by a journal
 *   holes of zeroes in it        a disk lost parts that were not synced: filled again when mail
 *                                follows, else cut off
 *   nothing of it                the append had not begun
 *
 * Nothing is ever removed unless it is provably a part of the recorded text.
 */
#include "append.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "bytes.h"
#include "from_kind.h"
#include "journal.h"
#include "journal_plan.h"
#include "kill.h"
#include "ledger_file.h"
#include "location.h"
#include "lock.h"
#include "mbox.h"
#include "parse.h"
#include "say.h"

#define MAGIC "rstmapp1"
#define RECORD_MAX (1u << 20)
#define NAME_CAP 64
#define STALE_S (36 * 3600)    /* a delivery that was given up */
#define LOOK (MBOX_HEAD + 100) /* a From_ line and a part of the next one */

/* The file of a record: head, path, name in incoming/, lead, list. */
struct record {
	char magic[8];
	uint64_t sum; /* of everything that follows */
	uint64_t ino, old, size;
	uint32_t path_n, name_n, lead_n, list_n;
};

/* A record that was read. */
struct left {
	struct record head;
	char *text; /* path, name, lead, list */
	const char *name, *lead, *list;
	int fd;         /* of the file in incoming/ */
	uint64_t total; /* lead, file, the empty line */
};

static void
record_name(const struct location *p, char name[KEY_N + 8])
{
	snprintf(name, KEY_N + 8, "%s.append", p->key);
}

/* ---- appending ------------------------------------------------------------------------------- */

static int
write_record(int fd, const struct record *r, const char *const part[4], const uint32_t n[4])
{
	uint64_t at = sizeof(*r);
	int e = bytes_write(fd, r, sizeof(*r), 0);

	for (int k = 0; e == 0 && k < 4; k++) {
		e = bytes_write(fd, part[k], n[k], at);
		at += n[k];
	}
	return e;
}

static int
put_record(struct inst *i, const struct location *p, const struct append *a, const struct stat *st)
{
	struct record r = {.magic = MAGIC,
			   .ino = st->st_ino,
			   .old = (uint64_t)st->st_size,
			   .size = a->size,
			   .path_n = (uint32_t)strlen(p->path),
			   .name_n = (uint32_t)strlen(a->name),
			   .lead_n = (uint32_t)a->lead_n,
			   .list_n = (uint32_t)a->list_n};
	const char *const part[4] = {p->path, a->name, a->lead, a->list};
	const uint32_t n[4] = {r.path_n, r.name_n, r.lead_n, r.list_n};
	char name[KEY_N + 8];
	int fd, e;

	r.sum = bytes_sum(&r.ino, sizeof(r) - offsetof(struct record, ino), BYTES_SUM);
	for (int k = 0; k < 4; k++)
		r.sum = bytes_sum(part[k], n[k], r.sum);
	record_name(p, name);
	fd = openat(i->journal_dir, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW,
		    0600);
	if (fd == -1)
		return errno;
	e = write_record(fd, &r, part, n);
	if (e == 0 && i->fsync && (fsync(fd) != 0 || fsync(i->journal_dir) != 0))
		e = errno;
	(void)close(fd);
	if (e != 0)
		(void)unlinkat(i->journal_dir, name, 0); /* a torn record counts for nothing */
	return e;
}

static int
drop_record(struct inst *i, const struct location *p)
{
	char name[KEY_N + 8];

	record_name(p, name);
	/* a record that reappears after a power cut is compared again, and found done */
	return unlinkat(i->journal_dir, name, 0) == 0 || errno == ENOENT ? 0 : errno;
}

/* Writes lead, file and empty line. 0 or an errno. */
static int
append_put_text(struct inst *i, int fd, uint64_t at, const struct append *a, struct held *h)
{
	int e = bytes_write(fd, a->lead, a->lead_n, at);

	KILL_POINT("append: the lead");
	at += a->lead_n;
	for (uint64_t done = 0; e == 0 && done < a->size; done += PIECE) {
		e = bytes_copy(a->fd, done, fd, at + done,
			       a->size - done < PIECE ? (size_t)(a->size - done) : PIECE);
		KILL_POINT("append: a piece");
		lock_keep(i, h);
	}
	if (e == 0)
		e = bytes_write(fd, "\n", 1, at + a->size);
	KILL_POINT("append: written");
	if (e == 0 && i->fsync && fsync(fd) != 0)
		e = errno;
	return e;
}

int
append_message(struct inst *i, const struct location *p, int fd, const struct append *a,
	       struct held *h, bool *ret_torn)
{
	struct stat st;
	int e;

	*ret_torn = false;
	if (fstat(fd, &st) != 0)
		return errno;
	/* an empty file may be new, and its name that of one who was killed before it was synced */
	if (st.st_size == 0 && i->fsync && (e = location_sync(i, p)) != 0)
		return e;
	KILL_POINT("append: before the record");
	e = put_record(i, p, a, &st);
	if (e != 0)
		return e;
	KILL_POINT("append: the record is there");
	e = append_put_text(i, fd, (uint64_t)st.st_size, a, h);
	KILL_POINT("append: synced");
	if (e == 0 && a->list_n > 0)
		e = ledger_append(i->ledger_dir, p->key, a->list, a->list_n, i->fsync);
	if (e != 0 && (ftruncate(fd, st.st_size) != 0 || (i->fsync && fsync(fd) != 0))) {
		*ret_torn = true; /* the record stays: recovery takes it back */
		return e;
	}
	(void)drop_record(i, p);
	KILL_POINT("append: the record is gone");
	return e;
}

/* ---- after a crash --------------------------------------------------------------------------- */

/* Loads a record. False: it is torn, so nothing was begun, or it is not ours. */
static bool
append_load(int rfd, struct left *l)
{
	struct record *h = &l->head;
	size_t n;

	if (pread(rfd, h, sizeof(*h), 0) != sizeof(*h) || memcmp(h->magic, MAGIC, 8) != 0 ||
	    h->path_n > PM_PATH_MAX || h->name_n >= NAME_CAP || h->lead_n > RECORD_MAX ||
	    h->list_n > RECORD_MAX)
		return false;
	n = (size_t)h->path_n + h->name_n + h->lead_n + h->list_n;
	l->text = malloc(n + 1);
	if (!l->text || pread(rfd, l->text, n, sizeof(*h)) != (ssize_t)n)
		return false;
	l->name = l->text + h->path_n;
	l->lead = l->name + h->name_n;
	l->list = l->lead + h->lead_n;
	l->total = h->lead_n + h->size + 1;
	return bytes_sum(l->text, n,
			 bytes_sum(&h->ino, sizeof(*h) - offsetof(struct record, ino),
				   BYTES_SUM)) == h->sum &&
	       !memchr(l->name, '/', h->name_n);
}

static int
append_open_incoming(struct inst *i, const struct left *l)
{
	char name[NAME_CAP];

	snprintf(name, sizeof(name), "%.*s", (int)l->head.name_n, l->name);
	return openat(i->incoming_dir, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
}

bool
append_path(struct inst *i, const char *name, char *path)
{
	struct left l = {.fd = -1};
	size_t n = strlen(name);
	bool ok = false;
	int rfd = -1;

	if (n > 7 && strcmp(name + n - 7, ".append") == 0)
		rfd = openat(i->journal_dir, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (rfd != -1) {
		ok = append_load(rfd, &l);
		(void)close(rfd);
	}
	if (ok)
		snprintf(path, PM_PATH_MAX + 1, "%.*s", (int)l.head.path_n, l.text);
	free(l.text);
	return ok;
}

/* Gives n bytes of the text to be appended, from `at`. False: they cannot be read. */
static bool
append_expected(const struct left *l, uint64_t at, char *buf, size_t n)
{
	while (n > 0) {
		size_t k;

		if (at < l->head.lead_n) {
			k = l->head.lead_n - at < n ? (size_t)(l->head.lead_n - at) : n;
			memcpy(buf, l->lead + at, k);
		} else if (at - l->head.lead_n < l->head.size) {
			uint64_t rest = l->head.size - (at - l->head.lead_n);

			k = rest < n ? (size_t)rest : n;
			if (pread(l->fd, buf, k, (off_t)(at - l->head.lead_n)) != (ssize_t)k)
				return false;
		} else {
			k = 1;
			*buf = '\n';
		}
		buf += k;
		at += k;
		n -= k;
	}
	return true;
}

/* Compares the mailbox with the text to be appended. *ret_same: bytes that are equal; *ret_ours:
 * bytes that are equal or zeroes. False: they cannot be compared. */
static bool
append_compare(const struct left *l, int fd, uint64_t size, uint64_t *ret_same, uint64_t *ret_ours)
{
	uint64_t there = size - l->head.old < l->total ? size - l->head.old : l->total;
	bool same = true;
	char want[4096], have[4096];

	*ret_same = *ret_ours = 0;
	while (*ret_ours < there) {
		size_t n = there - *ret_ours < sizeof(want) ? (size_t)(there - *ret_ours)
							    : sizeof(want);

		if (!append_expected(l, *ret_ours, want, n) ||
		    pread(fd, have, n, (off_t)(l->head.old + *ret_ours)) != (ssize_t)n)
			return false;
		for (size_t k = 0; k < n; k++) {
			same = same && want[k] == have[k];
			*ret_same += same;
			if (want[k] != have[k] && have[k] != '\0')
				return true;
			++*ret_ours;
		}
	}
	return true;
}

/* Finds the last place at or before `at`, and after the old end, where the mailbox has a From_
 * line: mail that came later. A line that is a part of the appended text does not count. False:
 * there is none nearby. */
static bool
later_mail(const struct left *l, int fd, uint64_t at, uint64_t *ret)
{
	uint64_t from = at - l->head.old > LOOK ? at - LOOK : l->head.old;
	char buf[2 * LOOK];
	ssize_t got = pread(fd, buf, sizeof(buf), (off_t)from);

	for (uint64_t k = at - from + 1; got > 0 && k-- > 0;) {
		const char *lf = k < (uint64_t)got ? memchr(buf + k, '\n', (size_t)got - k) : NULL;

		if (lf && from + (uint64_t)(lf - buf) >= at &&
		    from_begins(buf + k, (size_t)got - k)) {
			*ret = from + k;
			return true;
		}
	}
	return false;
}

/* Cuts [from, to) off the end of the mailbox, or makes the journal that cuts it out. 0 or an errno.
 */
static int
take_out(struct inst *i, const struct location *p, int fd, uint64_t from, uint64_t to,
	 uint64_t size, struct journal **ret_cut)
{
	if (to == size)
		return ftruncate(fd, (off_t)from) != 0 || (i->fsync && fsync(fd) != 0) ? errno : 0;
	*ret_cut = journal_cut(i, p, fd, from, to);
	return *ret_cut ? 0 : errno;
}

/* 0 or an errno; *ret_what: a text about the outcome. */
static int
append_settle(struct inst *i, const struct location *p, int fd, struct left *l,
	      const struct stat *st, const char **ret_what, struct journal **ret_cut)
{
	uint64_t size = (uint64_t)st->st_size, old = l->head.old, same, ours, mail;
	struct append a = {
		.lead = l->lead, .lead_n = l->head.lead_n, .fd = l->fd, .size = l->head.size};

	*ret_what = "had not begun";
	if (st->st_ino != l->head.ino || size <= old)
		return 0;
	*ret_what = "cannot be told from other mail and was left as it is; look at the end of the "
		    "mailbox";
	if (l->fd == -1 || !append_compare(l, fd, size, &same, &ours))
		return 0;
	if (same == l->total || (ours == l->total && size > old + l->total)) {
		/* its writer may have been killed before it was durable, and after this it is
		 * relied on */
		int e = same != l->total             ? append_put_text(i, fd, old, &a, NULL)
			: i->fsync && fsync(fd) != 0 ? errno
						     : 0;

		*ret_what = "is whole";
		return e == 0 && l->head.list_n > 0 ? ledger_append(i->ledger_dir, p->key, l->list,
								    l->head.list_n, i->fsync)
						    : e;
	}
	*ret_what = "was taken back";
	if (old + ours == size)
		return take_out(i, p, fd, old, size, size, ret_cut);
	if (later_mail(l, fd, old + ours, &mail))
		return mail > old ? take_out(i, p, fd, old, mail, size, ret_cut) : 0;
	*ret_what = "cannot be told from other mail and was left as it is; look at the end of the "
		    "mailbox";
	return 0;
}

/* Decides about a record. *ret_what: NULL if there is none. 0 or an errno. */
static int
append_judge(struct inst *i, const struct location *p, int fd, const char **ret_what,
	     struct journal **ret_cut)
{
	struct left l = {.fd = -1};
	char name[KEY_N + 8];
	struct stat st;
	int rfd, e = 0;

	*ret_what = NULL;
	record_name(p, name);
	rfd = openat(i->journal_dir, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (rfd == -1)
		return errno == ENOENT ? 0 : errno;
	*ret_what = "had not begun";
	if (fstat(fd, &st) != 0)
		e = errno;
	else if (append_load(rfd, &l)) {
		l.fd = append_open_incoming(i, &l);
		e = append_settle(i, p, fd, &l, &st, ret_what, ret_cut);
	}
	(void)close(rfd);
	if (l.fd != -1)
		(void)close(l.fd);
	free(l.text);
	return e;
}

int32_t
append_recover(struct inst *i, const struct pm_call *call, const struct location *p, int fd,
	       struct held *held, struct journal **cut)
{
	const char *what = "was taken back";
	int e = *cut ? 0 : append_judge(i, p, fd, &what, cut);

	if (e == 0 && !what)
		return PM_OK;
	if (e == 0 && *cut) {
		(*cut)->held = held;
		e = journal_slice(*cut);
	}
	if (e == EAGAIN)
		return PM_AGAIN;
	if (e == 0)
		e = drop_record(i, p);
	if (e != 0) {
		sdk_error(call, "'%s': finishing an interrupted delivery: %s", p->path,
			  strerrordesc_np(e));
		return PM_TEMP;
	}
	sdk_count(i->host, "deliveries_finished", 1);
	sdk_log(i->host, PM_LOG_NOTICE, "'%s': a delivery that was interrupted %s", p->path, what);
	return PM_OK;
}

/* ---- incoming/ ------------------------------------------------------------------------------- */

void
append_sweep(struct inst *i)
{
	int fd = openat(i->incoming_dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd != -1 ? fdopendir(fd) : NULL;
	struct dirent *e;
	struct stat st;

	if (!d) {
		if (fd != -1)
			(void)close(fd);
		return;
	}
	while ((e = readdir(d)) != NULL)
		if (e->d_name[0] != '.' && fstatat(fd, e->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
		    time(NULL) - st.st_mtime > STALE_S && unlinkat(fd, e->d_name, 0) == 0)
			sdk_count(i->host, "incoming_swept", 1);
	closedir(d);
}
