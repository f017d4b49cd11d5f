/* SPDX-License-Identifier: Apache-2.0 */
#include "path.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "conf.h"
#include "say.h"

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

/* Gives the value of %c for this user. False: there is none that may be part of a path. */
static bool
path_value_of(const struct pm_user *u, char c, struct pm_str *ret)
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
		*ret = at ? (struct pm_str){at + 1, u->name.n - local - 1}
			  : (struct pm_str){NULL, 0};
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

int32_t
sdk_path_make(const char *pattern, const struct pm_call *call, const struct pm_user *u, char *buf,
	      size_t cap)
{
	size_t n = 0;

	for (const char *p = pattern; *p; p++) {
		struct pm_str v = {p, 1};

		if (*p == '%' && !path_value_of(u, *++p, &v)) {
			sdk_error(call, "path = %s: this user has no %%%c that may stand in a path",
				  pattern, *p);
			return PM_PERM;
		}
		if (v.n >= cap - n) {
			sdk_error(call, "path = %s: longer than 4,095 bytes for this user",
				  pattern);
			return PM_PERM;
		}
		memcpy(buf + n, v.p, v.n);
		n += v.n;
	}
	buf[n] = '\0';
	return PM_OK;
}

/* The plain way, for kernels and sandboxes without openat2. */
int
sdk_open_beneath(int root, const char *path, int flags, unsigned mode)
{
	struct open_how how = {.flags = (unsigned)flags | O_CLOEXEC,
			       .mode = flags & O_CREAT ? mode : 0,
			       .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS};
	long fd = syscall(SYS_openat2, root, path, &how, sizeof(how));

	if (fd >= 0 || (errno != ENOSYS && errno != EPERM))
		return (int)fd;
	return openat(root, path, flags | O_CLOEXEC | O_NOFOLLOW, mode);
}

const char *
sdk_path_below(const char *path, const char *prefix, const char **ret_root)
{
	size_t n = strlen(prefix);
	bool beneath = strncmp(path, prefix, n) == 0;

	*ret_root = beneath ? prefix : "/";
	path += beneath ? n : 1;
	while (*path == '/')
		path++;
	return path;
}

/* Cuts `path` down to the part that exists; *ret_n is its length then. */
static int32_t
find_there(char *path, const struct pm_call *call, struct stat *ret_st, size_t *ret_n)
{
	size_t n = strlen(path);

	while (stat(path, ret_st) != 0) {
		if ((errno != ENOENT && errno != ENOTDIR) || n <= 1) {
			sdk_error(call, "cannot look at '%s': %s", path, strerrordesc_np(errno));
			return PM_TEMP;
		}
		while (n > 1 && path[n - 1] != '/')
			n--;
		while (n > 1 && path[n - 1] == '/')
			n--;
		path[n] = '\0';
	}
	*ret_n = n;
	return PM_OK;
}

int32_t
sdk_path_place(const char *pattern, const struct pm_call *call, const struct pm_user *u,
	       struct pm_str *ret)
{
	char path[PM_PATH_MAX + 1], there[PM_PATH_MAX + 1], text[PM_PLACE_MAX + 1];
	int32_t rc = sdk_path_make(pattern, call, u, path, sizeof(path));
	struct stat st;
	size_t n = 0;
	int len;

	memcpy(there, path, rc == PM_OK ? strlen(path) + 1 : 0);
	if (rc == PM_OK)
		rc = find_there(there, call, &st, &n);
	if (rc != PM_OK)
		return rc;
	while (path[n] == '/')
		n++;
	len = snprintf(text, sizeof(text), "%ju:%ju/%s", (uintmax_t)st.st_dev, (uintmax_t)st.st_ino,
		       path + n);
	*ret = sdk_call_dup(call, text, (size_t)len);
	return ret->p ? PM_OK : PM_NOMEM;
}

/* ---- templates ------------------------------------------------------------------------------- */

/* ann of each domain in one place? */
static bool
names_need_domains(struct pm_str path)
{
	for (size_t k = 0; k + 1 < path.n; k++)
		if (path.p[k] == '%' && path.p[k + 1] != 'n')
			return false; /* %k and %h: what the administrator wrote */
	return true;
}

static size_t
path_check_domains(const struct pm_open *open, const char *key, struct pm_str path)
{
	static const char one[] = "ann@a.example and ann@b.example would have one mailbox";

	if (!(open->flags & (PM_OPENF_MANY_DOMAINS | PM_OPENF_ANY_DOMAIN)) ||
	    !names_need_domains(path))
		return 0;
	if (open->flags & PM_OPENF_MANY_DOMAINS) {
		sdk_report(
			open, key,
			"%.*s: accounts of several domains have their mail here, and %s: use "
			"%%u or %%d, or, if ann is one person in all of them, name_domain = none "
			"in the auth section",
			(int)path.n, path.p, one);
		return 1;
	}
	if (open->purpose == PM_PURPOSE_SERVER)
		sdk_log(open->host, PM_LOG_WARNING,
			"%s = %.*s: %s, and the second is refused; set domains = ... in the auth "
			"section, or name_domain = none if its names need no domain",
			key, (int)path.n, path.p, one);
	return 0;
}

int32_t
sdk_path_check(const struct pm_open *open, const char *key)
{
	struct pm_str path = sdk_opt_str(open, key);
	size_t before = 0;

	if (!memchr(path.p, '%', path.n)) {
		sdk_report(open, key,
			   "%.*s: every user would share it; use %%u, %%n, %%d, %%k or %%h",
			   (int)path.n, path.p);
		return PM_INVALID;
	}
	if (path.p[0] != '/' && !(path.n > 1 && path.p[0] == '%' && path.p[1] == 'h')) {
		sdk_report(open, key, "%.*s: expected a path from / on, or from %%h", (int)path.n,
			   path.p);
		before++;
	}
	if (path.p[path.n - 1] == '%') {
		sdk_report(open, key, "%.*s: it ends in a single %%", (int)path.n, path.p);
		before++;
	}
	for (size_t k = 0; k + 1 < path.n; k++) {
		if (path.p[k] != '%')
			continue;
		if (!strchr("undkh", path.p[k + 1])) {
			sdk_report(open, key,
				   "%.*s: %%%c is unknown; there are %%u %%n %%d %%k %%h",
				   (int)path.n, path.p, path.p[k + 1]);
			before++;
		}
		if (path.p[k + 1] == 'h' && k != 0) {
			sdk_report(open, key, "%.*s: %%h must stand first", (int)path.n, path.p);
			before++;
		}
	}
	before += path_check_domains(open, key, path);
	return before ? PM_INVALID : PM_OK;
}

char *
sdk_path_prefix(const char *pattern)
{
	const char *mark = strchr(pattern, '%');
	size_t n = mark ? (size_t)(mark - pattern) : strlen(pattern);

	while (n > 0 && pattern[n - 1] != '/')
		n--;
	return n > 0 ? strndup(pattern, n) : strdup("/");
}
