/* SPDX-License-Identifier: Apache-2.0 */
#include "base/way.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define LINKS_MAX 40 /* as the kernel has it */

struct walk {
	const uid_t *may;
	size_t n_may;
	bool may_miss;  /* the end */
	int fd;         /* the current place; -1: nowhere */
	struct stat st; /* of that place */
	unsigned links;
	uid_t uid;               /* the first owner who is not root */
	char todo[2 * PATH_MAX]; /* the rest of the path */
	char *err;
	size_t errlen;
};

/* For a message: the name of the current place, and of a part of it; only the part where /proc is
 * not mounted. */
static const char *
name_of(const struct walk *w, const char *part, char name[PATH_MAX])
{
	char link[40];
	ssize_t n;
	size_t len;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", w->fd);
	n = w->fd == -1 ? 0 : readlink(link, name, PATH_MAX - 1);
	len = n > 0 ? (size_t)n : 0;
	snprintf(name + len, PATH_MAX - len, "%s%s", len > 1 && *part ? "/" : "", part);
	return name;
}

static bool
way_failed(const struct walk *w, const char *part, int e)
{
	char name[PATH_MAX];

	snprintf(w->err, w->errlen, "'%s': %s", name_of(w, part, name), strerrordesc_np(e));
	return false;
}

/* ---- what is judged -------------------------------------------------------------------------- */

static bool
may_own(const struct walk *w, uid_t uid)
{
	bool yes = uid == 0 || uid == geteuid() || w->n_may == 0;

	for (size_t i = 0; i < w->n_may && !yes; i++)
		yes = uid == w->may[i];
	return yes;
}

/* Of the current place, or of the link `part` there. */
static bool
judge_owner(struct walk *w, uid_t uid, const char *part)
{
	char name[PATH_MAX];

	if (!may_own(w, uid)) {
		name_of(w, part, name);
		snprintf(w->err, w->errlen,
			 "'%s' belongs to user id %u; it must belong to root or the service user: "
			 "chown%s root '%s'",
			 name, (unsigned)uid, *part ? " -h" : "", name);
		return false;
	}
	if (w->uid == 0)
		w->uid = uid;
	return true;
}

/* Judges the current place, a directory. */
static bool
judge_here(struct walk *w, bool last)
{
	char name[PATH_MAX];

	if (!judge_owner(w, w->st.st_uid, ""))
		return false;
	if (!(w->st.st_mode & 022) || (!last && (w->st.st_mode & S_ISVTX)))
		return true;
	name_of(w, "", name);
	snprintf(w->err, w->errlen, "'%s' can be written by others (mode %04o): chmod go-w '%s'",
		 name, (unsigned)(w->st.st_mode & 07777), name);
	return false;
}

/* ---- steps ----------------------------------------------------------------------------------- */

/* Moves to `part` of the current place, or of nothing; it is not a link. */
static bool
step_to(struct walk *w, const char *part)
{
	int fd = openat(w->fd == -1 ? AT_FDCWD : w->fd, part, O_PATH | O_NOFOLLOW | O_CLOEXEC);

	memset(&w->st, 0, sizeof(w->st));
	if (fd == -1)
		return (errno == ENOENT && w->may_miss && !w->todo[strspn(w->todo, "/")]) ||
		       way_failed(w, part, errno);
	if (w->fd != -1)
		(void)close(w->fd); /* only looked at */
	w->fd = fd;
	return fstat(fd, &w->st) == 0 || way_failed(w, part, errno);
}

/* A link of n octets: its text replaces its name. */
static bool
step_through(struct walk *w, const char *part, const char *to, size_t n)
{
	char rest[sizeof(w->todo)];
	struct stat st;

	if (fstatat(w->fd, part, &st, AT_SYMLINK_NOFOLLOW) != 0)
		return way_failed(w, part, errno);
	if (geteuid() == 0 && !judge_owner(w, st.st_uid, part))
		return false;
	memcpy(rest, w->todo, sizeof(rest));
	if (++w->links > LINKS_MAX || n >= PATH_MAX ||
	    (size_t)snprintf(w->todo, sizeof(w->todo), "%.*s/%s", (int)n, to, rest) >=
		    sizeof(w->todo))
		return way_failed(w, part, ELOOP);
	return to[0] != '/' || step_to(w, "/");
}

/* Takes the next part off the rest; false: there is none. */
static bool
take_part(struct walk *w, char part[PATH_MAX])
{
	char *p = w->todo + strspn(w->todo, "/");
	size_t n = strcspn(p, "/");

	if (n == 0 || n >= PATH_MAX)
		return false;
	memcpy(part, p, n);
	part[n] = '\0';
	memmove(w->todo, p + n, strlen(p + n) + 1);
	return true;
}

static bool
way_walk(struct walk *w, const char *path)
{
	char part[PATH_MAX], to[PATH_MAX];

	if (path[0] == '\0' || strlen(path) >= PATH_MAX)
		return way_failed(w, path, path[0] ? ENAMETOOLONG : ENOENT);
	memcpy(w->todo, path, strlen(path) + 1);
	if (!step_to(w, path[0] == '/' ? "/" : "."))
		return false;
	while (take_part(w, part)) {
		ssize_t n;

		if (geteuid() == 0 && S_ISDIR(w->st.st_mode) && !judge_here(w, false))
			return false;
		n = readlinkat(w->fd, part, to, sizeof(to));
		if (n > 0 ? !step_through(w, part, to, (size_t)n) : !step_to(w, part))
			return false;
	}
	return true;
}

bool
way_follow(const char *path, enum way_end end, const uid_t *may, size_t n, struct way *ret,
	   char *err, size_t errlen)
{
	struct walk w = {.may = may,
			 .n_may = n,
			 .may_miss = end == WAY_ANY,
			 .fd = -1,
			 .err = err,
			 .errlen = errlen};
	bool ok = way_walk(&w, path);

	if (ok && end == WAY_DIR)
		ok = S_ISDIR(w.st.st_mode) ? judge_here(&w, true) : way_failed(&w, "", ENOTDIR);
	if (w.fd != -1)
		(void)close(w.fd);
	*ret = (struct way){w.uid, w.st};
	return ok;
}
