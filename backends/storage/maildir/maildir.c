/* SPDX-License-Identifier: Apache-2.0 */
/*
 * storage/maildir - options, paths and the descriptor.
 *
 * A path is made from a template; what comes from outside (%u %n %d %k %h) may hold no slash and no leading
 * dot, and the directory is opened beneath the template's fixed part without following links: a name can
 * never leave it. %h alone may be a whole path: the account's home, which the administrator wrote.
 */
#include "maildir.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "conf.h"

int64_t
maildir_now(const struct inst *i)
{
	return i->host->now_ms(i->host->ctx);
}

/* ---- paths ----------------------------------------------------------------------------------- */

static bool
component_ok(struct pm_str s)
{
	return s.n > 0 && s.p[0] != '.' && !memchr(s.p, '/', s.n) && !memchr(s.p, '\0', s.n);
}

static struct pm_str
attr_of(const struct pm_user *u, const char *key)
{
	for (uint32_t k = 0; k < u->n_attr; k++)
		if (sdk_str_is(u->attr[k].key, key))
			return u->attr[k].value;
	return (struct pm_str){NULL, 0};
}

/* The value of %c for this user; false: there is none that may stand in a path. */
static bool
value_of(const struct pm_user *u, char c, struct pm_str *ret)
{
	const char *at = u->name.n > 0 ? memrchr(u->name.p, '@', u->name.n) : NULL;
	size_t local = at ? (size_t)(at - u->name.p) : u->name.n;

	switch (c) {
	case 'u':
		*ret = u->name;
		return component_ok(*ret);
	case 'n':
		*ret = (struct pm_str){u->name.p, local};
		return component_ok(*ret);
	case 'd':
		*ret = at ? (struct pm_str){at + 1, u->name.n - local - 1} : (struct pm_str){NULL, 0};
		return component_ok(*ret);
	case 'k':
		*ret = u->key;
		return component_ok(*ret);
	case 'h':
		*ret = attr_of(u, "home");
		return ret->n > 0 && ret->p[0] == '/' && !memchr(ret->p, '\0', ret->n);
	default:
		return false;
	}
}

static int32_t
path_make(const struct inst *i, const struct pm_call *call, const struct pm_user *u, char *buf, size_t cap)
{
	size_t n = 0;

	for (const char *p = i->pattern; *p; p++) {
		struct pm_str v = {p, 1};

		if (*p == '%' && !value_of(u, *++p, &v)) {
			sdk_error(call, "path = %s: this user has no %%%c that may stand in a path", i->pattern, *p);
			return PM_PERM;
		}
		if (v.n >= cap - n) {
			sdk_error(call, "path = %s: longer than 4,095 bytes for this user", i->pattern);
			return PM_PERM;
		}
		memcpy(buf + n, v.p, v.n);
		n += v.n;
	}
	buf[n] = '\0';
	return PM_OK;
}

/* openat2(2), with the plain way for kernels and sandboxes without it. */
static int
open_beneath(int root, const char *path)
{
	struct open_how how = {.flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC,
			       .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS};
	long fd = syscall(SYS_openat2, root, path, &how, sizeof(how));

	if (fd >= 0 || (errno != ENOSYS && errno != EPERM))
		return (int)fd;
	return openat(root, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
}

/* Makes each missing directory of a relative path, and the three of a maildir. */
static int
make_maildir(int root, const char *rel)
{
	char part[PM_PATH_MAX + 8];
	int fd;

	for (const char *slash = strchr(rel, '/');; slash = strchr(slash + 1, '/')) {
		snprintf(part, sizeof(part), "%.*s", slash ? (int)(slash - rel) : (int)strlen(rel), rel);
		if (*part && mkdirat(root, part, 0700) != 0 && errno != EEXIST)
			return -1;
		if (!slash)
			break;
	}
	fd = open_beneath(root, rel);
	if (fd == -1)
		return -1;
	for (int k = 0; k < 3; k++)
		if (mkdirat(fd, k == 0 ? "tmp" : k == 1 ? "new" : "cur", 0700) != 0 && errno != EEXIST) {
			(void)close(fd);
			return -1;
		}
	return fd;
}

int32_t
maildir_open_dir(struct inst *i, const struct pm_call *call, const struct pm_user *user, bool create, int *ret_fd)
{
	char path[PM_PATH_MAX + 1];
	size_t prefix_n = strlen(i->prefix);
	const char *rel;
	int root, fd, e;
	int32_t rc = path_make(i, call, user, path, sizeof(path));

	*ret_fd = -1;
	if (rc != PM_OK)
		return rc;
	/* a home (%h) is not beneath the prefix; it is trusted as a whole */
	rel = strncmp(path, i->prefix, prefix_n) == 0 ? path + prefix_n : path + 1;
	root = open(rel == path + 1 ? "/" : i->prefix, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (root == -1) {
		sdk_error(call, "'%s' is not there: %s; is its volume mounted?", i->prefix, strerrordesc_np(errno));
		return PM_DOWN;
	}
	while (*rel == '/')
		rel++;
	fd = open_beneath(root, rel);
	e = errno;
	if (fd == -1 && e == ENOENT && create) {
		fd = make_maildir(root, rel);
		e = errno;
	}
	(void)close(root);
	if (fd == -1 && e == ENOENT)
		return PM_OK; /* nobody delivered to it yet */
	if (fd == -1) {
		sdk_error(call, "cannot open the maildir '%s': %s", path, strerrordesc_np(e));
		return e == EMFILE || e == ENFILE || e == ENOMEM || e == EIO ? PM_TEMP : PM_PERM;
	}
	*ret_fd = fd;
	return PM_OK;
}

/* ---- life ------------------------------------------------------------------------------------ */

static int32_t
maildir_check(const struct pm_open *open)
{
	struct pm_str path = sdk_opt_str(open, "path");
	size_t before = 0;

	if (!memchr(path.p, '%', path.n)) {
		sdk_report(open, "path", "%.*s: every user would share it; use %%u, %%n, %%d, %%k or %%h", (int)path.n,
			   path.p);
		return PM_INVALID;
	}
	for (size_t k = 0; k + 1 < path.n; k++) {
		if (path.p[k] != '%')
			continue;
		if (!strchr("undkh", path.p[k + 1])) {
			sdk_report(open, "path", "%.*s: %%%c is unknown; there are %%u %%n %%d %%k %%h", (int)path.n,
				   path.p, path.p[k + 1]);
			before++;
		}
		if (path.p[k + 1] == 'h' && k != 0) {
			sdk_report(open, "path", "%.*s: %%h must stand first", (int)path.n, path.p);
			before++;
		}
	}
	return before ? PM_INVALID : PM_OK;
}

static void
maildir_close(void *inst)
{
	struct inst *i = inst;

	cache_free(i->cache);
	free(i->section);
	free(i->pattern);
	free(i->prefix);
	free(i);
}

/* The fixed part of the template, up to its last slash. */
static char *
prefix_of(const char *pattern)
{
	const char *mark = strchr(pattern, '%');
	size_t n = mark ? (size_t)(mark - pattern) : strlen(pattern);

	while (n > 0 && pattern[n - 1] != '/')
		n--;
	return n > 0 ? strndup(pattern, n) : strdup("/");
}

static int32_t
maildir_open(const struct pm_open *open, void **ret_inst)
{
	struct inst *i = calloc(1, sizeof(*i));

	if (!i)
		return PM_NOMEM;
	i->host = open->host;
	i->section = sdk_strdup(open->section);
	i->pattern = sdk_strdup(sdk_opt_str(open, "path"));
	i->prefix = i->pattern ? prefix_of(i->pattern) : NULL;
	i->mark_seen = sdk_opt_num(open, "mark_seen", 1) != 0;
	i->fsync = sdk_opt_num(open, "fsync", 1) != 0;
	i->crlf = sdk_opt_num(open, "line_end", 0) != 0;
	i->cache_messages = (uint64_t)sdk_opt_num(open, "cache_messages", 1000000);
	i->cache = cache_new(i->cache_messages);
	if (gethostname(i->hostname, sizeof(i->hostname) - 1) != 0)
		snprintf(i->hostname, sizeof(i->hostname), "localhost");
	for (char *p = i->hostname; *p; p++)
		if (*p == '/' || *p == ':' || *p == ',' || (unsigned char)*p <= 0x20)
			*p = '_'; /* qmail's rule for names of files */
	if (!i->section || !i->pattern || !i->prefix || !i->cache) {
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

#define OPTION(k, t, f, u, d, text)                                                                                \
	{sizeof(struct pm_option), t, f, 0, SDK_STR(k), SDK_STR(u), SDK_STR(d), SDK_STR(text)}

static const struct pm_option options[] = {
	OPTION("path", PM_OPT_STRING, PM_OPTF_REQUIRED, "", "",
	       "the maildir of a user: %u name, %n local part, %d domain, %k mailbox key, %h home (first)"),
	OPTION("mark_seen", PM_OPT_BOOL, 0, "", "yes", "retrieved messages that stay go from new to cur, seen"),
	OPTION("fsync", PM_OPT_BOOL, 0, "", "yes", "no: a power cut may undo deletions and lose mail"),
	OPTION("line_end", PM_OPT_CHOICE, 0, "lf|crlf", "lf", "how delivered mail is stored"),
	OPTION("cache_messages", PM_OPT_NUMBER, 0, "", "1000000", "messages of unchanged mailboxes remembered in memory"),
};

static const struct pm_life life = {
	.size = sizeof(life), .check = maildir_check, .open = maildir_open, .close = maildir_close,
	.probe = maildir_probe,
};

static const struct pm_module module = {
	.size = sizeof(module),
	.abi_major = PM_ABI_MAJOR,
	.abi_minor = PM_ABI_MINOR,
	.flags = PM_F_DRAFT | PM_F_MAY_BLOCK | PM_F_CAN_MARK | PM_F_CAN_IMPORT | PM_F_CAN_UTF8,
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
