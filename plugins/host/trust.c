/* SPDX-License-Identifier: Apache-2.0 */
#include "trust.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <restante/module.h>

static bool
trust_one(const char *path, bool file, char *err, size_t errlen)
{
	struct stat st;
	uid_t me = geteuid();

	if (stat(path, &st) != 0) {
		snprintf(err, errlen, "'%s': %s", path, strerrordesc_np(errno));
		return false;
	}
	if (file && !S_ISREG(st.st_mode)) {
		snprintf(err, errlen, "'%s' is not a regular file", path);
		return false;
	}
	if (st.st_uid != 0 && st.st_uid != me) {
		snprintf(err, errlen,
			 "'%s' belongs to user id %u; it must belong to root%s: chown root '%s'",
			 path, (unsigned)st.st_uid, me ? " or to the user who runs this" : "",
			 path);
		return false;
	}
	if ((st.st_mode & 022) && !(S_ISDIR(st.st_mode) && (st.st_mode & S_ISVTX))) {
		snprintf(err, errlen, "'%s' can be written by others (mode %04o): chmod go-w '%s'",
			 path, (unsigned)(st.st_mode & 07777), path);
		return false;
	}
	return true;
}

bool
host_trust(const char *path, char *err, size_t errlen)
{
	char part[PM_PATH_MAX + 1];
	size_t n = strlen(path);

	if (path[0] != '/' || n > PM_PATH_MAX) {
		snprintf(err, errlen, "'%s' is not an absolute file name", path);
		return false;
	}
	memcpy(part, path, n + 1);
	if (!trust_one(part, true, err, errlen))
		return false;
	for (char *slash; (slash = strrchr(part, '/')) != NULL;) {
		*slash = '\0';
		if (!trust_one(slash == part ? "/" : part, false, err, errlen))
			return false;
	}
	return true;
}
