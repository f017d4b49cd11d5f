/* SPDX-License-Identifier: Apache-2.0 */
#include "base/privs.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/way.h"

#define PW_BUFFER 4096

/* The rights that root has laid down for a while. */
static struct {
	bool away;
	gid_t gid;
	gid_t *groups;
	int n_groups;
} lent;

bool
privs_find(const char *user, uid_t *ret_uid, gid_t *ret_gid, char *err, size_t errlen)
{
	struct passwd pw, *found = NULL;
	char buf[PW_BUFFER];
	int rc = getpwnam_r(user, &pw, buf, sizeof(buf), &found);

	if (!found) {
		snprintf(err, errlen, "user = %s: no such account%s%s; create it or name another",
			 user, rc ? ": " : "", rc ? strerrordesc_np(rc) : "");
		return false;
	}
	*ret_uid = pw.pw_uid;
	*ret_gid = pw.pw_gid;
	return true;
}

/* ---- for a while ----------------------------------------------------------------------------- */

/* An account that is in no list: the number of its group is its own. */
static gid_t
group_of(uid_t uid)
{
	struct passwd pw, *found = NULL;
	char buf[PW_BUFFER];

	return getpwuid_r(uid, &pw, buf, sizeof(buf), &found) == 0 && found ? pw.pw_gid
									    : (gid_t)uid;
}

bool
privs_as(uid_t uid, char *err, size_t errlen)
{
	gid_t gid;

	if (uid == 0 || geteuid() != 0)
		return true;
	gid = group_of(uid);
	lent.gid = getegid();
	lent.n_groups = getgroups(0, NULL);
	lent.groups = calloc((size_t)lent.n_groups + 1, sizeof(*lent.groups));
	if (lent.groups && getgroups(lent.n_groups, lent.groups) == lent.n_groups) {
		lent.away = true;
		if (setgroups(0, NULL) == 0 && setegid(gid) == 0 && seteuid(uid) == 0)
			return true;
	}
	snprintf(err, errlen, "cannot act as user id %u: %s", (unsigned)uid,
		 strerrordesc_np(errno));
	privs_back();
	return false;
}

void
privs_back(void)
{
	int e = errno;

	/* the user id first, which allows the rest; a process that is half root must not go on */
	if (lent.away && (seteuid(0) != 0 || setegid(lent.gid) != 0 ||
			  setgroups((size_t)lent.n_groups, lent.groups) != 0))
		abort();
	lent.away = false;
	free(lent.groups);
	lent.groups = NULL;
	errno = e;
}

int
privs_open(const char *path, int flags, char *err, size_t errlen)
{
	struct way w = {0};
	int fd;

	if (geteuid() == 0 &&
	    (!way_follow(path, WAY_ANY, NULL, 0, &w, err, errlen) || !privs_as(w.uid, err, errlen)))
		return -1;
	fd = open(path, flags);
	privs_back();
	if (fd == -1)
		snprintf(err, errlen, "'%s': %s", path, strerrordesc_np(errno));
	return fd;
}

/* ---- a directory of the service user's ------------------------------------------------------- */

/* Root has made it where only root can make anything. */
static bool
give_dir(const char *path, uid_t uid, gid_t gid)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	bool ok = fd != -1 && fchown(fd, uid, gid) == 0;
	int e = errno;

	if (fd != -1)
		(void)close(fd);
	errno = e;
	return ok;
}

static bool
make_dir(const char *path, uid_t uid, gid_t gid, char *err, size_t errlen)
{
	struct way w;
	bool made;

	if (!way_follow(path, WAY_ANY, &uid, 1, &w, err, errlen) || !privs_as(w.uid, err, errlen))
		return false;
	made = mkdir(path, 0700) == 0;
	privs_back();
	if (!made && errno != EEXIST) {
		snprintf(err, errlen, "cannot make directory '%s': %s", path,
			 strerrordesc_np(errno));
		return false;
	}
	if (made && geteuid() == 0 && w.uid == 0 && uid != 0 && !give_dir(path, uid, gid)) {
		snprintf(err, errlen, "cannot give '%s' to user id %u: %s", path, (unsigned)uid,
			 strerrordesc_np(errno));
		return false;
	}
	return true;
}

bool
privs_make_dir(const char *path, const char *user, char *err, size_t errlen)
{
	uid_t uid = geteuid();
	gid_t gid = getegid();
	struct way w;

	if (uid == 0 && user && !privs_find(user, &uid, &gid, err, errlen))
		return false;
	if (!make_dir(path, uid, gid, err, errlen) ||
	    !way_follow(path, WAY_DIR, &uid, 1, &w, err, errlen))
		return false;
	if (w.st.st_uid != uid) {
		snprintf(err, errlen,
			 "'%s' belongs to user id %u; it must belong to %s: chown -R %u '%s'", path,
			 (unsigned)w.st.st_uid, user ? user : "the user who runs this",
			 (unsigned)uid, path);
		return false;
	}
	return true;
}

/* ---- for good -------------------------------------------------------------------------------- */

bool
privs_drop(const char *user, char *err, size_t errlen)
{
	uid_t uid;
	gid_t gid;

	if (geteuid() != 0)
		return true;
	if (!user) {
		snprintf(err, errlen,
			 "started as root: set 'user = NAME', the account that owns the mail");
		return false;
	}
	if (!privs_find(user, &uid, &gid, err, errlen))
		return false;
	if (uid == 0) {
		snprintf(err, errlen,
			 "user = %s: is root itself; name an account without privileges", user);
		return false;
	}
	/* glibc's wrappers change all threads; there is only one so far */
	if (initgroups(user, gid) != 0 || setresgid(gid, gid, gid) != 0 ||
	    setresuid(uid, uid, uid) != 0) {
		snprintf(err, errlen, "cannot become %s: %s", user, strerrordesc_np(errno));
		return false;
	}
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) {
		snprintf(err, errlen, "PR_SET_NO_NEW_PRIVS: %s", strerrordesc_np(errno));
		return false;
	}
	return true;
}

bool
privs_is(const char *user)
{
	char err[200];
	uid_t uid;
	gid_t gid;

	return privs_find(user, &uid, &gid, err, sizeof(err)) && uid == geteuid();
}

void
privs_raise_files(size_t wanted)
{
	struct rlimit rl;

	if (getrlimit(RLIMIT_NOFILE, &rl) != 0 || rl.rlim_cur >= wanted)
		return;
	if (rl.rlim_max != RLIM_INFINITY && rl.rlim_max < wanted && geteuid() == 0)
		/* refused in a container: then the check that follows reports it */
		rl.rlim_max = wanted;
	rl.rlim_cur = rl.rlim_max < wanted ? rl.rlim_max : wanted;
	if (setrlimit(RLIMIT_NOFILE, &rl) != 0 && getrlimit(RLIMIT_NOFILE, &rl) == 0) {
		rl.rlim_cur = rl.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &rl); /* as far as it goes */
	}
}
