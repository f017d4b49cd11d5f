/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From directories and ledger to a snapshot.
 *
 * `new` is read first, then `cur`. A message that another reader moves meanwhile is seen in `new`,
 * in `cur`, or in both (then the newer place, `cur`, counts), never in neither, except that readdir
 * may skip a file that is renamed within `cur`. So cur's mtime is looked at again. If it changed,
 * or if a message that the ledger has as live is missing and cur is younger than two seconds, both
 * are read again, up to three times.
 *
 * The order is by arrival (the leading number of the name), then by name: the same in every
 * session.
 */
#include "scan.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "compact.h"
#include "dir.h"
#include "held.h"
#include "ledger_file.h"
#include "maildir.h"
#include "match.h"
#include "name.h"
#include "recover.h"
#include "say.h"
#include "snap.h"
#include "twins.h"

#define TRIES 3
#define NAMES_PER_LOOK 512 /* directory entries between two looks at the clock */

enum phase { PHASE_LEDGER, PHASE_NEW, PHASE_CUR, PHASE_TWINS, PHASE_MATCH };

struct scanner {
	enum phase phase;
	struct snap *snap;
	struct ledger *ledger;
	struct recovery *recovery; /* while commits are finished */
	bool recovered;
	struct twins twins; /* files that share a name, as they were read */
	DIR *dir;
	unsigned tries;
	unsigned odd;  /* entries that are not messages */
	size_t proven; /* items matched to a message so far */
	/* inos: the inode numbers of a directory's entries were compared with stat(2); odd_inos:
	 * they differ */
	bool inos, odd_inos;
};

/* ---- small things ---------------------------------------------------------------------------- */

void
scan_free(struct scanner *sc)
{
	if (!sc)
		return;
	if (sc->dir)
		closedir(sc->dir);
	recover_free(sc->recovery);
	ledger_free(sc->ledger);
	held_free(&sc->twins);
	snap_free(sc->snap);
	free(sc);
}

static int64_t
ms_of(struct timespec t)
{
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* ---- directories ----------------------------------------------------------------------------- */

/* The inode number that the directory gives for free. On some file systems it is not the one of
 * stat(2). 0: not known. */
static uint64_t
ino_of(struct scanner *sc, const struct dirent *d)
{
	struct stat st;

	if (!sc->inos) {
		sc->inos = true;
		sc->odd_inos = fstatat(dirfd(sc->dir), d->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
			       st.st_ino != d->d_ino;
	}
	return sc->odd_inos ? 0 : d->d_ino;
}

static void
say_odd(struct inst *i, struct scanner *sc, int fd, const char *dir, const char *name)
{
	if (name[0] == '.' || sc->odd++ > 2)
		return; /* three names are enough to find the rest */
	char text[160];
	size_t n = 0;

	for (const char *p = name; *p && n + 5 < sizeof(text); p++) {
		if ((unsigned char)*p > 0x20 && *p != 0x7f)
			text[n++] = *p;
		else
			n += (size_t)snprintf(text + n, sizeof(text) - n, "\\x%02x",
					      (unsigned char)*p);
	}
	text[n] = '\0';
	dir_log(i, fd, PM_LOG_WARNING,
		"%s/%s is not a message (a regular file with a plain name); it is not listed", dir,
		text);
}

/* Reads one directory, in slices. PM_OK: to its end. */
static int32_t
read_dir(struct inst *i, const struct pm_call *call, struct scanner *sc, int fd, const char *dir)
{
	int64_t until = maildir_now(i) + SLICE_MS;
	struct dirent *d;
	unsigned n = 0;

	if (!sc->dir) {
		int dfd = openat(fd, dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);

		if (dfd == -1 && errno == ENOENT) {
			dir_log(i, fd, PM_LOG_WARNING, "there is no %s/; it is taken as empty",
				dir);
			return PM_OK;
		}
		sc->dir = dfd != -1 ? fdopendir(dfd) : NULL;
		if (!sc->dir) {
			int e = errno;

			if (dfd != -1)
				(void)close(dfd);
			sdk_error(call, "cannot read %s/: %s", dir, strerrordesc_np(e));
			return e == EACCES || e == ENOTDIR || e == ELOOP ? PM_PERM : PM_TEMP;
		}
	}
	while (errno = 0, (d = readdir(sc->dir)) != NULL) {
		if (strcmp(d->d_name, ".") == 0 || strcmp(d->d_name, "..") == 0)
			continue;
		if (!snap_takes(dirfd(sc->dir), d))
			say_odd(i, sc, fd, dir, d->d_name);
		else if (!snap_add(sc->snap, d->d_name, dir[0] == 'n', ino_of(sc, d)))
			return PM_NOMEM;
		if (++n % NAMES_PER_LOOK == 0 && maildir_now(i) >= until)
			return PM_AGAIN;
	}
	int e = errno;

	closedir(sc->dir);
	sc->dir = NULL;
	sc->inos = false;
	if (e != 0) {
		sdk_error(call, "reading %s/: %s", dir, strerrordesc_np(e));
		return PM_TEMP;
	}
	return PM_OK;
}

/* ---- checking the look ----------------------------------------------------------------------- */

struct missing {
	size_t live; /* messages in the ledger that are not deleted */
};

static void
count_live(struct ledger_message *m, void *ctx)
{
	struct missing *x = ctx;

	x->live += !m->deleted;
}

/* True if readdir may have skipped a file that was being renamed. */
static bool
scan_suspicious(const struct scanner *sc, const struct snap *now, int64_t wall_ms)
{
	struct missing x = {0};
	size_t known = 0;

	if (!snap_same_time(now->cur_mtime, sc->snap->cur_mtime))
		return true;
	if (wall_ms - ms_of(now->cur_mtime) >= SETTLE_MS)
		return false;
	ledger_each(sc->ledger, count_live, &x);
	known = sc->snap->hidden_n;
	for (size_t k = 0; k < sc->snap->n; k++) {
		char buf[IDENTITY_CAP];
		size_t n;
		const char *identity = name_identity(sc->snap, &sc->snap->items[k], buf, &n);

		known += !sc->snap->items[k].stale && ledger_find(sc->ledger, identity, n) != NULL;
	}
	return known < x.live;
}

static void
scan_begin_again(struct scanner *sc, int fd)
{
	struct snap fresh;

	snap_stat(fd, &fresh);
	for (size_t k = 0; k < sc->snap->n; k++)
		sc->snap->items[k].stale = true;
	for (size_t k = 0; k < sc->snap->hidden_n; k++)
		sc->snap->hidden[k].stale = true;
	sc->snap->new_mtime = fresh.new_mtime;
	sc->snap->cur_mtime = fresh.cur_mtime;
	sc->proven = 0;
	sc->phase = PHASE_NEW;
}

/* If nothing changed during the last look, it is the truth. Otherwise every look counts, since
 * readdir may have skipped files. */
static size_t
drop_stale(struct item *items, size_t n)
{
	size_t out = 0;

	for (size_t k = 0; k < n; k++)
		if (!items[k].stale)
			items[out++] = items[k];
	return out;
}

static int32_t
scan_finish(struct inst *i, struct scanner *sc, int fd, uint32_t flags, struct snap **ret_snap)
{
	const struct source src = {.inst = i, .fd = fd, .s = sc->snap, .twins = &sc->twins};
	int64_t wall = i->host->wall_ms(i->host->ctx);
	struct snap now;
	bool again;
	int32_t rc;

	snap_stat(fd, &now);
	rc = match_run(sc->snap, sc->ledger);
	if (rc != PM_OK)
		return rc;
	again = scan_suspicious(sc, &now, wall);
	if (++sc->tries < TRIES && again) {
		scan_begin_again(sc, fd);
		return PM_AGAIN;
	}
	if (!again) {
		sc->snap->n = drop_stale(sc->snap->items, sc->snap->n);
		sc->snap->hidden_n = drop_stale(sc->snap->hidden, sc->snap->hidden_n);
	}
	sc->snap->settled = snap_same_time(now.new_mtime, sc->snap->new_mtime) &&
			    snap_same_time(now.cur_mtime, sc->snap->cur_mtime) &&
			    wall - ms_of(now.new_mtime) >= SETTLE_MS &&
			    wall - ms_of(now.cur_mtime) >= SETTLE_MS;
	if (flags & PM_OPEN_EXCLUSIVE) {
		sc->snap->ledger_useful = compact_useful(sc->snap, sc->ledger, wall);
		twins_keep(&src);
	}
	*ret_snap = sc->snap;
	sc->snap = NULL;
	return PM_OK;
}

/* Logs what is wrong with the ledger. */
static void
say_damage(struct inst *i, int fd, const struct ledger *l, size_t bad)
{
	sdk_count(i->host, "ledger_damaged", bad);
	if (bad > 0)
		dir_log(i, fd, PM_LOG_WARNING,
			"%zu damaged lines of %s were passed over; check the disk", bad,
			LEDGER_FILE);
	if (ledger_torn(l) > 0)
		dir_log(i, fd, PM_LOG_WARNING,
			"%s: commits that are not whole, and count as never made: %zu; "
			"check the disk",
			LEDGER_FILE, ledger_torn(l));
}

/* Reads the ledger, and finishes its commits. */
static int32_t
scan_begin(struct inst *i, const struct pm_call *call, int fd, bool exclusive, struct scanner *sc)
{
	size_t good, bad = 0;
	int32_t rc;

	while (!sc->ledger || sc->recovery) {
		if (!sc->ledger) {
			/* before the ledger is read, so that a change in between is seen as one by
			 * the cache */
			snap_stat(fd, sc->snap);
			sc->ledger = ledger_load(fd, LEDGER_FILE, &good, &bad);
		}
		if (!sc->ledger)
			return ledger_load_code(call, LEDGER_FILE, errno);
		if (sc->recovered || !exclusive || !ledger_unfinished(sc->ledger, NULL))
			break;
		rc = recover_run(i, fd, sc->ledger, &sc->recovery);
		if (rc != PM_OK)
			return rc;
		sc->recovered = true;
		ledger_free(sc->ledger);
		sc->ledger = NULL;
	}
	say_damage(i, fd, sc->ledger, bad);
	sc->snap->ledger_lines = ledger_lines(sc->ledger);
	sc->phase = PHASE_NEW;
	return PM_OK;
}

/* Finds out which message each file belongs to. */
static int32_t
scan_prove(struct inst *i, const struct pm_call *call, struct scanner *sc, int fd)
{
	const struct source src = {i, call, fd, sc->snap, &sc->twins, maildir_now(i) + SLICE_MS};

	if (sc->proven == 0 && !match_sort(sc->snap))
		return PM_NOMEM;
	return twins_run(&src, sc->ledger, &sc->proven);
}

int32_t
scan_run(struct inst *i, const struct pm_call *call, int fd, uint32_t flags, struct scanner **psc,
	 struct snap **ret_snap)
{
	struct scanner *sc = *psc;
	int32_t rc = PM_OK;

	if (!sc) {
		sc = *psc = calloc(1, sizeof(*sc));
		if (sc)
			sc->snap = calloc(1, sizeof(*sc->snap));
		if (!sc || !sc->snap)
			return PM_NOMEM;
	}
	/* the phases follow each other in one call while the slice lasts; most mailboxes need only
	 * one call */
	if (sc->phase == PHASE_LEDGER)
		rc = scan_begin(i, call, fd, (flags & PM_OPEN_EXCLUSIVE) != 0, sc);
	sc->snap->with_hidden = (flags & PM_OPEN_HIDDEN) != 0;
	if (rc == PM_OK && sc->phase == PHASE_NEW) {
		rc = read_dir(i, call, sc, fd, "new");
		if (rc == PM_OK)
			sc->phase = PHASE_CUR;
	}
	if (rc == PM_OK && sc->phase == PHASE_CUR) {
		rc = read_dir(i, call, sc, fd, "cur");
		if (rc == PM_OK)
			sc->phase = PHASE_TWINS;
	}
	if (rc == PM_OK && sc->phase == PHASE_TWINS) {
		rc = scan_prove(i, call, sc, fd);
		if (rc == PM_OK)
			sc->phase = PHASE_MATCH;
	}
	if (rc == PM_OK && sc->phase == PHASE_MATCH)
		rc = scan_finish(i, sc, fd, flags, ret_snap);
	return rc;
}
