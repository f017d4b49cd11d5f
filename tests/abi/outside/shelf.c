/* SPDX-License-Identifier: Apache-2.0 */
/*
 * shelf - a storage module: one directory per user, one file per message. Whoever puts a file there
 * writes it elsewhere in the same file system and renames it in, and never uses a name twice: the
 * name is the unique-id. Built outside the tree by doc/writing-modules.md.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <restante/module.h>

#include "conf.h"   /* the SDK: options */
#include "octets.h" /* the SDK: sizes on the wire */
#include "say.h"    /* the SDK: log, reports, errors */

#define GONE ".gone" /* names that are committed to be deleted */
#define GONE_NEW ".gone.new"
#define SLICE_MS 150
#define UNKNOWN UINT64_MAX

/* One instance: a `storage` section of the configuration. */
struct shelf {
	const struct pm_host *host;
	int root; /* the directory of all users' directories */
};

struct item {
	char *name;
	uint64_t octets; /* on the wire; UNKNOWN until somebody asks */
	uint64_t stored;
	int64_t received_ms;
	bool deleted; /* by this session's commit */
};

/* One session's mailbox: the lock is the open directory, the snapshot is the list of names. */
struct mbox {
	struct shelf *shelf;
	int dir; /* -1: the user has no directory yet */
	bool exclusive;
	struct item *items;
	size_t n, cap;
	int msg; /* the one open message; -1: none */
};

/* ---- life ------------------------------------------------------------------------------------ */

static int32_t
shelf_check(const struct pm_open *open)
{
	char *path = sdk_strdup(sdk_opt_str(open, "path"));
	struct stat st;
	int32_t rc = PM_OK;

	if (!path)
		return PM_NOMEM;
	if (stat(path, &st) != 0) {
		sdk_report(open, "path", "'%s': %s", path, strerrordesc_np(errno));
		rc = PM_INVALID;
	} else if (!S_ISDIR(st.st_mode)) {
		sdk_report(open, "path", "'%s' is not a directory", path);
		rc = PM_INVALID;
	}
	free(path);
	return rc;
}

static int32_t
shelf_open(const struct pm_open *open_args, void **ret_inst)
{
	struct shelf *s = calloc(1, sizeof(*s));
	char *path = sdk_strdup(sdk_opt_str(open_args, "path"));

	if (!s || !path) {
		free(s);
		free(path);
		return PM_NOMEM;
	}
	s->host = open_args->host;
	s->root = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (s->root == -1) {
		sdk_report(open_args, "path", "'%s': %s", path, strerrordesc_np(errno));
		free(s);
		free(path);
		return PM_INVALID;
	}
	free(path);
	*ret_inst = s;
	return PM_OK;
}

static void
shelf_close(void *inst)
{
	struct shelf *s = inst;

	(void)close(s->root); /* was only read */
	free(s);
}

/* ---- the snapshot ---------------------------------------------------------------------------- */

static void
mbox_free(struct mbox *mb)
{
	for (size_t i = 0; i < mb->n; i++)
		free(mb->items[i].name);
	free(mb->items);
	if (mb->dir != -1)
		(void)close(mb->dir); /* the lock goes with it */
	free(mb);
}

/* May it be a unique-id? RFC 1939 section 7: 1 to 70 characters 0x21 to 0x7E. */
static bool
name_ok(const char *name)
{
	size_t n = 0;

	for (; name[n]; n++)
		if (name[n] < 0x21 || name[n] > 0x7e)
			return false;
	return n >= 1 && n <= PM_UIDL_MAX && name[0] != '.';
}

static bool
add_item(struct mbox *mb, const char *name, const struct stat *st)
{
	struct item *items = mb->items;

	if (mb->n == mb->cap) {
		mb->cap = mb->cap ? mb->cap * 2 : 64;
		items = realloc(items, mb->cap * sizeof(*items));
		if (!items)
			return false;
		mb->items = items;
	}
	items[mb->n] = (struct item){
		.name = strdup(name),
		.octets = UNKNOWN,
		.stored = (uint64_t)st->st_size,
		.received_ms = (int64_t)st->st_mtim.tv_sec * 1000,
	};
	return items[mb->n++].name != NULL;
}

static int
by_name(const void *a, const void *b)
{
	return strcmp(((const struct item *)a)->name, ((const struct item *)b)->name);
}

static int32_t
scan(struct mbox *mb, const struct pm_call *call)
{
	int copy = openat(mb->dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = copy == -1 ? NULL : fdopendir(copy);
	int32_t rc = PM_OK;
	struct dirent *e;
	struct stat st;

	if (!d) {
		sdk_error(call, "cannot list the directory: %s", strerrordesc_np(errno));
		if (copy != -1)
			(void)close(copy);
		return PM_TEMP;
	}
	while (rc == PM_OK && (errno = 0, e = readdir(d)) != NULL) {
		if (!name_ok(e->d_name) ||
		    fstatat(mb->dir, e->d_name, &st, AT_SYMLINK_NOFOLLOW) != 0 ||
		    !S_ISREG(st.st_mode))
			continue; /* not a message of ours */
		if (!add_item(mb, e->d_name, &st))
			rc = PM_NOMEM;
	}
	if (rc == PM_OK && errno != 0)
		rc = PM_TEMP; /* half a list must never become a snapshot */
	(void)closedir(d);
	if (rc == PM_OK && mb->n > 0)
		qsort(mb->items, mb->n, sizeof(*mb->items), by_name);
	return rc;
}

/* ---- deletions that were committed and not carried out --------------------------------------- */

/* The list, one name per line; NULL and PM_OK: there is none. */
static int32_t
read_gone(int dir, char **ret)
{
	int fd = openat(dir, GONE, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	struct stat st;
	char *text = NULL;
	ssize_t got = -1;

	*ret = NULL;
	if (fd == -1)
		return errno == ENOENT ? PM_OK : PM_TEMP;
	if (fstat(fd, &st) == 0 && st.st_size >= 0 &&
	    (text = malloc((size_t)st.st_size + 1)) != NULL)
		got = read(fd, text, (size_t)st.st_size);
	(void)close(fd);
	if (got < 0 || got != st.st_size) {
		free(text);
		return PM_TEMP;
	}
	text[got] = '\0';
	*ret = text;
	return PM_OK;
}

/* Carries a list out; doing it twice does no harm. */
static int32_t
finish_gone(int dir, char *text)
{
	char *rest = text, *name;

	while ((name = strsep(&rest, "\n")) != NULL)
		if (name_ok(name) && unlinkat(dir, name, 0) != 0 && errno != ENOENT)
			return PM_TEMP;
	if (fsync(dir) != 0 || (unlinkat(dir, GONE, 0) != 0 && errno != ENOENT))
		return PM_TEMP;
	return PM_OK;
}

/* For a session without the lock: what is on the list is deleted already. */
static void
leave_out(struct mbox *mb, char *text)
{
	char *rest = text, *name;

	while ((name = strsep(&rest, "\n")) != NULL) {
		for (size_t i = 0; i < mb->n; i++) {
			if (strcmp(mb->items[i].name, name) != 0)
				continue;
			free(mb->items[i].name);
			mb->n--;
			memmove(&mb->items[i], &mb->items[i + 1],
				(mb->n - i) * sizeof(mb->items[i]));
			break;
		}
	}
}

/* ---- opening and closing --------------------------------------------------------------------- */

/* The user's directory. A key may come from a database: it must not lead anywhere else. */
static int32_t
open_dir(const struct shelf *s, const struct pm_call *call, struct pm_str key, int *ret)
{
	char name[NAME_MAX + 1];

	if (key.n == 0 || key.n > NAME_MAX || key.p[0] == '.' || memchr(key.p, '/', key.n) ||
	    memchr(key.p, '\0', key.n)) {
		sdk_error(call, "this mailbox key cannot be a directory's name");
		return PM_PERM;
	}
	memcpy(name, key.p, key.n);
	name[key.n] = '\0';
	*ret = openat(s->root, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (*ret != -1 || errno == ENOENT)
		return PM_OK;
	sdk_error(call, "'%s': %s", name, strerrordesc_np(errno));
	return errno == EACCES || errno == ENOTDIR || errno == ELOOP ? PM_PERM : PM_TEMP;
}

/* With the lock: finish what a crash left, then look. */
static int32_t
fill(struct mbox *mb, const struct pm_call *call)
{
	char *gone;
	int32_t rc = read_gone(mb->dir, &gone);

	if (rc == PM_OK && gone && mb->exclusive)
		rc = finish_gone(mb->dir, gone);
	if (rc == PM_OK)
		rc = scan(mb, call);
	if (rc == PM_OK && gone && !mb->exclusive)
		leave_out(mb, gone);
	free(gone);
	return rc;
}

static int32_t
mbox_open(void *inst, const struct pm_call *call, const struct pm_user *user, uint32_t flags,
	  uint64_t *ret_count, void **ret_mbox)
{
	struct mbox *mb = calloc(1, sizeof(*mb));
	int32_t rc;

	if (!mb)
		return PM_NOMEM;
	mb->shelf = inst;
	mb->msg = -1;
	mb->exclusive = (flags & PM_OPEN_EXCLUSIVE) != 0;
	rc = open_dir(inst, call, user->key.n > 0 ? user->key : user->name, &mb->dir);
	/* each session opens the directory anew, so flock also keeps out the next one of this
	 * process */
	if (rc == PM_OK && mb->dir != -1 && mb->exclusive && flock(mb->dir, LOCK_EX | LOCK_NB) != 0)
		rc = errno == EWOULDBLOCK ? PM_BUSY : PM_TEMP;
	if (rc == PM_OK && mb->dir != -1)
		rc = fill(mb, call);
	if (rc != PM_OK) {
		mbox_free(mb);
		return rc;
	}
	*ret_count = mb->n;
	*ret_mbox = mb;
	return PM_OK;
}

static void
mbox_close(void *mbox, const struct pm_call *call)
{
	(void)call;
	mbox_free(mbox);
}

/* ---- sizes and unique-ids -------------------------------------------------------------------- */

static int32_t
open_item(const struct mbox *mb, const struct item *it, const struct pm_call *call, int *ret_fd)
{
	int fd = openat(mb->dir, it->name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	struct stat st;

	if (fd == -1) {
		if (errno == ENOENT)
			return PM_GONE;
		sdk_error(call, "'%s': %s", it->name, strerrordesc_np(errno));
		return PM_TEMP;
	}
	if (fstat(fd, &st) != 0 || (uint64_t)st.st_size != it->stored) {
		(void)close(fd);
		sdk_error(call, "'%s' changed since the mailbox was opened", it->name);
		return PM_TEMP; /* never another message than the snapshot's */
	}
	*ret_fd = fd;
	return PM_OK;
}

static int32_t
count_octets(const struct mbox *mb, struct item *it, const struct pm_call *call)
{
	char buf[16384];
	struct sdk_octets o;
	ssize_t got;
	int fd;
	int32_t rc = open_item(mb, it, call, &fd);

	if (rc == PM_GONE) {
		it->octets = 0; /* a request for it fails; its size no longer counts */
		return PM_OK;
	}
	if (rc != PM_OK)
		return rc;
	sdk_octets_init(&o);
	while ((got = read(fd, buf, sizeof(buf))) > 0)
		sdk_octets_feed(&o, buf, (size_t)got);
	(void)close(fd);
	if (got < 0)
		return PM_TEMP;
	it->octets = sdk_octets_total(&o);
	return PM_OK;
}

/* Sizes of a range. In slices: the answer PM_AGAIN lets the host look after other things (R7). */
static int32_t
count_range(struct mbox *mb, const struct pm_call *call, uint64_t first, size_t n)
{
	int64_t end = mb->shelf->host->now_ms(mb->shelf->host->ctx) + SLICE_MS;
	int32_t rc = PM_OK;

	for (uint64_t i = first; rc == PM_OK && i < first + n; i++) {
		if (mb->items[i].octets != UNKNOWN)
			continue;
		if (sdk_left_ms(mb->shelf->host, call) == 0)
			return PM_TIMEOUT;
		if (mb->shelf->host->now_ms(mb->shelf->host->ctx) >= end)
			return PM_AGAIN;
		rc = count_octets(mb, &mb->items[i], call);
	}
	return rc;
}

static int32_t
mbox_info(void *mbox, const struct pm_call *call, uint64_t first, size_t n, size_t stride,
	  uint32_t want, struct pm_msg *ret)
{
	struct mbox *mb = mbox;
	int32_t rc = PM_OK;

	if (n > PM_SLICE_MAX || first > mb->n || n > mb->n - first)
		return PM_INVALID;
	if (want & PM_WANT_OCTETS)
		rc = count_range(mb, call, first, n);
	if (rc != PM_OK)
		return rc;
	for (size_t i = 0; i < n; i++) {
		struct pm_msg *m = (struct pm_msg *)(void *)((char *)ret + i * stride);
		const struct item *it = &mb->items[first + i];

		if (want & PM_WANT_OCTETS) {
			m->octets = it->octets;
			m->stored_bytes = it->stored;
		}
		if (want & PM_WANT_UIDL) {
			m->uidl_len = (uint32_t)strlen(it->name);
			memcpy(m->uidl, it->name, m->uidl_len);
		}
		if (want & PM_WANT_DATES)
			m->received_ms = it->received_ms;
	}
	return PM_OK;
}

/* ---- reading --------------------------------------------------------------------------------- */

static int32_t
msg_open(void *mbox, const struct pm_call *call, uint64_t index, void **ret_msg)
{
	struct mbox *mb = mbox;
	int32_t rc;

	if (index >= mb->n || mb->msg != -1)
		return PM_INVALID;
	rc = open_item(mb, &mb->items[index], call, &mb->msg);
	if (rc == PM_OK)
		*ret_msg = mb;
	return rc;
}

static int32_t
msg_read(void *msg, const struct pm_call *call, void *buf, size_t cap, size_t *ret_got)
{
	struct mbox *mb = msg;
	ssize_t got;

	if (cap == 0)
		return PM_INVALID;
	got = read(mb->msg, buf, cap);
	if (got < 0) {
		sdk_error(call, "read: %s", strerrordesc_np(errno));
		return PM_TEMP; /* the position is where it was */
	}
	if (got == 0)
		return PM_END;
	*ret_got = (size_t)got;
	return PM_OK;
}

static void
msg_close(void *msg, const struct pm_call *call)
{
	struct mbox *mb = msg;

	(void)call;
	(void)close(mb->msg); /* was only read */
	mb->msg = -1;
}

/* ---- commit ---------------------------------------------------------------------------------- */

/* The names to delete, one per line; NULL: no memory. */
static char *
list_gone(const struct mbox *mb, const struct pm_commit *c, size_t *ret_n)
{
	char *text = malloc(mb->n * (PM_UIDL_MAX + 1) + 1);
	size_t n = 0;

	for (size_t i = 0; text && i < mb->n; i++) {
		size_t len = strlen(mb->items[i].name);

		if (!sdk_bit(c->del, i) || mb->items[i].deleted)
			continue;
		memcpy(text + n, mb->items[i].name, len);
		n += len;
		text[n++] = '\n';
	}
	if (text)
		text[n] = '\0';
	*ret_n = n;
	return text;
}

/* Durable under its final name, or not there. The rename is the commit point: before it nothing is
 * deleted, after it everything will be, even if the power fails in between. */
static int32_t
write_gone(int dir, const char *text, size_t n)
{
	int fd = openat(dir, GONE_NEW, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	bool ok = fd != -1 && write(fd, text, n) == (ssize_t)n && fsync(fd) == 0;
	int32_t rc = errno == ENOSPC || errno == EDQUOT ? PM_NOSPACE : PM_TEMP;

	if (fd != -1 && close(fd) != 0)
		ok = false;
	if (!ok || renameat(dir, GONE_NEW, dir, GONE) != 0) {
		(void)unlinkat(dir, GONE_NEW, 0); /* nobody reads it */
		return rc;
	}
	return fsync(dir) == 0 ? PM_OK : PM_UNKNOWN;
}

static int32_t
mbox_commit(void *mbox, const struct pm_call *call, const struct pm_commit *c, uint64_t *ret_done)
{
	struct mbox *mb = mbox;
	uint64_t done = 0;
	char *text;
	size_t n;
	int32_t rc = PM_OK;

	if (!mb->exclusive || c->n != mb->n)
		return PM_INVALID;
	if (c->keep_until_ms > 0 || c->restore)
		return PM_UNSUPPORTED; /* no PM_F_CAN_HIDE */
	text = list_gone(mb, c, &n);
	if (!text)
		return PM_NOMEM;
	if (n > 0)
		rc = write_gone(mb->dir, text, n);
	if (rc == PM_OK) {
		for (size_t i = 0; i < mb->n; i++) {
			mb->items[i].deleted |= sdk_bit(c->del, i);
			done += sdk_bit(c->del, i);
		}
		if (n > 0 && finish_gone(mb->dir, text) != PM_OK) {
			sdk_error(
				call,
				"not all deleted files could be removed; the next session goes on");
			rc = PM_PARTIAL;
		}
		*ret_done = done;
	}
	free(text);
	return rc;
}

/* ---- the descriptor -------------------------------------------------------------------------- */

static const struct pm_option options[] = {
	{
		.size = sizeof(struct pm_option),
		.type = PM_OPT_PATH,
		.flags = PM_OPTF_REQUIRED,
		.key = SDK_STR("path"),
		.doc = SDK_STR("the directory that holds one directory per user"),
	},
};

static const struct pm_life life = {
	.size = sizeof(life),
	.check = shelf_check,
	.open = shelf_open,
	.close = shelf_close,
};

static const struct pm_storage storage = {
	.size = sizeof(storage),
	.mbox_open = mbox_open,
	.mbox_info = mbox_info,
	.msg_open = msg_open,
	.msg_read = msg_read,
	.msg_close = msg_close,
	.mbox_commit = mbox_commit,
	.mbox_close = mbox_close,
};

static const struct pm_module module = {
	.size = sizeof(module),
	.abi_major = PM_ABI_MAJOR,
	.abi_minor = PM_ABI_MINOR,
	.flags = PM_F_DRAFT | PM_F_MAY_BLOCK,
	.name = SDK_STR("shelf"),
	.version = SDK_STR("1.0"),
	.licence = SDK_STR("Apache-2.0"),
	.options = options,
	.n_options = 1,
	.option_stride = sizeof(options[0]),
	.life = &life,
	.storage = &storage,
};

PM_EXPORT const struct pm_module *
pm_module_v1(uint32_t host_minor, uint32_t index)
{
	(void)host_minor;
	return index == 0 ? &module : NULL;
}
