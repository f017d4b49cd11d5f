/* SPDX-License-Identifier: Apache-2.0 */
/*
 * storage/maildir - options, directories and the descriptor. sdk/path.h makes paths of names.
 */
#include "maildir.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "conf.h"
#include "kill.h"
#include "path.h"

int64_t
maildir_now(const struct inst *i)
{
	return i->host->now_ms(i->host->ctx);
}

/* link(2) and unlink(2) where the file system cannot, as every maildir once did. */
bool
maildir_move(int fd, const char *from, const char *to)
{
	if (renameat2(fd, from, fd, to, RENAME_NOREPLACE) == 0)
		return true;
	if (errno != EINVAL && errno != ENOSYS)
		return false;
	if (linkat(fd, from, fd, to, 0) != 0)
		return false;
	/* what stays has the same inode: it is the same message, or swept from tmp/ */
	(void)unlinkat(fd, from, 0);
	return true;
}

/* ---- paths ----------------------------------------------------------------------------------- */

static int
open_dir(int root, const char *path)
{
	return sdk_open_beneath(root, path, O_RDONLY | O_DIRECTORY, 0);
}

bool
maildir_fill(const struct inst *i, int fd)
{
	static const char *const dirs[] = {"cur", "new", "tmp"};

	for (int k = 0; k < 3; k++)
		if (mkdirat(fd, dirs[k], 0700) != 0 && errno != EEXIST)
			return false;
	return !i->fsync || fsync(fd) == 0;
}

/* A directory, if it is missing, and its name durable. */
static bool
make_one(const struct inst *i, int root, const char *part)
{
	char parent[PM_PATH_MAX + 8];
	const char *slash = strrchr(part, '/');
	bool ok;
	int fd;

	if (mkdirat(root, part, 0700) != 0)
		return errno == EEXIST;
	if (!i->fsync)
		return true;
	snprintf(parent, sizeof(parent), "%.*s", slash ? (int)(slash - part) : 1,
		 slash ? part : ".");
	fd = openat(root, parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	ok = fd != -1 && fsync(fd) == 0;
	if (fd != -1)
		(void)close(fd);
	return ok;
}

/* Makes each missing directory of a relative path, and the three of a maildir. */
static int
make_maildir(const struct inst *i, int root, const char *rel)
{
	char part[PM_PATH_MAX + 8];
	int fd;

	for (const char *slash = strchr(rel, '/');; slash = strchr(slash + 1, '/')) {
		snprintf(part, sizeof(part), "%.*s", slash ? (int)(slash - rel) : (int)strlen(rel),
			 rel);
		if (*part && !make_one(i, root, part))
			return -1;
		if (!slash)
			break;
	}
	KILL_POINT("maildir: made, and empty");
	fd = open_dir(root, rel);
	if (fd != -1 && !maildir_fill(i, fd)) {
		(void)close(fd);
		return -1;
	}
	return fd;
}

int32_t
maildir_open_dir(struct inst *i, const struct pm_call *call, const struct pm_user *user,
		 bool create, int *ret_fd)
{
	char path[PM_PATH_MAX + 1];
	const char *rel, *base;
	int root, fd, e;
	int32_t rc = sdk_path_make(i->pattern, call, user, path, sizeof(path));

	*ret_fd = -1;
	if (rc != PM_OK)
		return rc;
	rel = sdk_path_below(path, i->prefix, &base);
	root = open(base, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (root == -1) {
		sdk_error(call, "'%s' is not there: %s; is its volume mounted?", i->prefix,
			  strerrordesc_np(errno));
		return PM_DOWN;
	}
	fd = open_dir(root, rel);
	e = errno;
	if (fd == -1 && e == ENOENT && create) {
		fd = make_maildir(i, root, rel);
		e = errno;
	}
	(void)close(root);
	if (fd == -1 && e == ENOENT)
		return PM_OK; /* nobody delivered to it yet */
	if (fd == -1) {
		sdk_error(call, "cannot open or make the maildir '%s': %s", path,
			  strerrordesc_np(e));
		if (e == ENOSPC || e == EDQUOT) /* it was to be made */
			return PM_NOSPACE;
		return e == EMFILE || e == ENFILE || e == ENOMEM || e == EIO ? PM_TEMP : PM_PERM;
	}
	*ret_fd = fd;
	return PM_OK;
}

/* ---- life ------------------------------------------------------------------------------------ */

static int32_t
maildir_check(const struct pm_open *open)
{
	return sdk_path_check(open, "path");
}

static void
maildir_close(void *inst)
{
	struct inst *i = inst;

	cache_free(i->cache);
	sdk_totals_free(i->totals);
	free(i->section);
	free(i->pattern);
	free(i->prefix);
	free(i);
}

static int32_t
maildir_open(const struct pm_open *open, void **ret_inst)
{
	static const char *const counters[] = {"commits_finished", "commits_stuck",
					       "ledger_damaged", NULL};
	struct inst *i = calloc(1, sizeof(*i));

	if (!i)
		return PM_NOMEM;
	i->host = open->host;
	sdk_counters(i->host, counters);
	i->section = sdk_strdup(open->section);
	i->pattern = sdk_strdup(sdk_opt_str(open, "path"));
	i->prefix = i->pattern ? sdk_path_prefix(i->pattern) : NULL;
	i->mark_seen = sdk_opt_num(open, "mark_seen", 1) != 0;
	i->fsync = sdk_opt_num(open, "fsync", 1) != 0;
	i->crlf = sdk_opt_num(open, "line_end", 0) != 0;
	i->cache_messages = (uint64_t)sdk_opt_num(open, "cache_messages", 1000000);
	i->cache = cache_new(i->cache_messages);
	i->totals = sdk_totals_new(i->host, maildir_count_free);
	if (gethostname(i->hostname, sizeof(i->hostname) - 1) != 0)
		snprintf(i->hostname, sizeof(i->hostname), "localhost");
	for (char *p = i->hostname; *p; p++)
		if (*p == '/' || *p == ':' || *p == ',' || (unsigned char)*p <= 0x20)
			*p = '_'; /* qmail's rule for names of files */
	if (!i->section || !i->pattern || !i->prefix || !i->cache || !i->totals) {
		maildir_close(i);
		return PM_NOMEM;
	}
	*ret_inst = i;
	return PM_OK;
}

static int32_t
maildir_probe(void *inst, const struct pm_call *call)
{
	struct inst *i = inst;
	struct stat st;

	if (stat(i->prefix, &st) == 0)
		return PM_OK;
	sdk_error(call, "'%s': %s", i->prefix, strerrordesc_np(errno));
	return PM_DOWN;
}

/* Counts of large mailboxes that nobody waits for any more. */
static int32_t
maildir_tick(void *inst, const struct pm_call *call)
{
	struct inst *i = inst;

	(void)call;
	sdk_totals_tidy(i->totals);
	return PM_OK;
}

#define OPTION(k, t, f, u, d, text) \
	{ \
		sizeof(struct pm_option), t, f, 0, SDK_STR(k), SDK_STR(u), SDK_STR(d), \
			SDK_STR(text) \
	}

static const struct pm_option options[] = {
	OPTION("path", PM_OPT_STRING, PM_OPTF_REQUIRED, "", "",
	       "the maildir of a user: %u name, %n local part, %d domain, %k mailbox key, %h home "
	       "(first)"),
	OPTION("mark_seen", PM_OPT_BOOL, 0, "", "yes",
	       "retrieved messages that stay go from new to cur, seen"),
	OPTION("fsync", PM_OPT_BOOL, 0, "", "yes",
	       "no: a power cut may undo deletions and lose mail"),
	OPTION("line_end", PM_OPT_CHOICE, 0, "lf|crlf", "lf", "how delivered mail is stored"),
	OPTION("cache_messages", PM_OPT_NUMBER, 0, "", "1000000",
	       "messages of unchanged mailboxes remembered in memory"),
};

static const struct pm_life life = {
	.size = sizeof(life),
	.tick_ms = 60000,
	.check = maildir_check,
	.open = maildir_open,
	.close = maildir_close,
	.probe = maildir_probe,
	.tick = maildir_tick,
};

static const struct pm_module module = {
	.size = sizeof(module),
	.abi_major = PM_ABI_MAJOR,
	.abi_minor = PM_ABI_MINOR,
	.flags = PM_F_DRAFT | PM_F_MAY_BLOCK | PM_F_CAN_MARK | PM_F_CAN_HIDE | PM_F_CAN_IMPORT |
		 PM_F_CAN_UTF8,
	.name = SDK_STR("maildir"),
	.version = SDK_STR("1.0"),
	.licence = SDK_STR("Apache-2.0"),
	.options = options,
	.n_options = sizeof(options) / sizeof(options[0]),
	.option_stride = sizeof(options[0]),
	.life = &life,
	.storage = &maildir_storage,
	.delivery = &maildir_delivery,
};

PM_EXPORT const struct pm_module *
pm_module_v1(uint32_t host_minor, uint32_t index)
{
	(void)host_minor;
	return index == 0 ? &module : NULL;
}
