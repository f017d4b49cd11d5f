/* SPDX-License-Identifier: Apache-2.0 */
#include "base/privs.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#define PW_BUFFER 4096

/* The account, or false with a text. */
static bool
find_user(const char *user, uid_t *ret_uid, gid_t *ret_gid, char *err, size_t errlen)
{
	struct passwd pw, *found = NULL;
	char buf[PW_BUFFER];
	int rc = getpwnam_r(user, &pw, buf, sizeof(buf), &found);

	if (!found) {
		snprintf(err, errlen, "user = %s: no such account%s%s; create it or name another", user,
			 rc ? ": " : "", rc ? strerrordesc_np(rc) : "");
		return false;
	}
	*ret_uid = pw.pw_uid;
	*ret_gid = pw.pw_gid;
	return true;
}

bool
privs_make_dir(const char *path, const char *user, char *err, size_t errlen)
{
	struct stat st;
	uid_t uid;
	gid_t gid;

	if (stat(path, &st) == 0 && S_ISDIR(st.st_mode))
		return true;
	if (mkdir(path, 0700) != 0) {
		snprintf(err, errlen, "cannot make directory '%s': %s", path, strerrordesc_np(errno));
		return false;
	}
	if (geteuid() != 0 || !user)
		return true;
	if (!find_user(user, &uid, &gid, err, errlen))
		return false;
	if (chown(path, uid, gid) != 0) {
		snprintf(err, errlen, "cannot give '%s' to %s: %s", path, user,
			 strerrordesc_np(errno));
		return false;
	}
	return true;
}

bool
privs_drop(const char *user, char *err, size_t errlen)
{
	uid_t uid;
	gid_t gid;

	if (geteuid() != 0)
		return true;
	if (!user) {
		snprintf(err, errlen, "started as root: set 'user = NAME', the account that owns the mail");
		return false;
	}
	if (!find_user(user, &uid, &gid, err, errlen))
		return false;
	if (uid == 0) {
		snprintf(err, errlen, "user = %s: is root itself; name an account without privileges", user);
		return false;
	}
	/* glibc's wrappers change all threads; there is only one yet */
	if (initgroups(user, gid) != 0 || setresgid(gid, gid, gid) != 0 || setresuid(uid, uid, uid) != 0) {
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

	return find_user(user, &uid, &gid, err, sizeof(err)) && uid == geteuid();
}

void
privs_raise_files(size_t wanted)
{
	struct rlimit rl;

	if (getrlimit(RLIMIT_NOFILE, &rl) != 0 || rl.rlim_cur >= wanted)
		return;
	if (rl.rlim_max != RLIM_INFINITY && rl.rlim_max < wanted && geteuid() == 0)
		rl.rlim_max = wanted; /* refused in a container: then the check that follows says so */
	rl.rlim_cur = rl.rlim_max < wanted ? rl.rlim_max : wanted;
	if (setrlimit(RLIMIT_NOFILE, &rl) != 0 && getrlimit(RLIMIT_NOFILE, &rl) == 0) {
		rl.rlim_cur = rl.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &rl); /* as far as it goes */
	}
}
