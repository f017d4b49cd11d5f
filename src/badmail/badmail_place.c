/* SPDX-License-Identifier: Apache-2.0 */
#include "badmail/badmail_place.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/statefile.h"

#define BUCKET 0xffu   /* items of a directory, as a mask of IDs */
#define BRANCH 0xffffu /* of a directory of directories */

/* ---- names ----------------------------------------------------------------------------------- */

void
badmail_place_item(const struct conf_badmail *b, enum badmail_class cls, uint64_t id,
		   const char *suffix, char *buf, size_t cap)
{
	snprintf(buf, cap, "%s/%s/%04" PRIx64 "/%02" PRIx64 "/%016" PRIx64 "%s", b->path,
		 badmail_id_class(cls), id >> 16, id >> 8 & 0xff, id, suffix);
}

static void
branch_path(const struct conf_badmail *b, enum badmail_class cls, uint64_t id, char *buf,
	    size_t cap)
{
	snprintf(buf, cap, "%s/%s/%04" PRIx64, b->path, badmail_id_class(cls), id >> 16);
}

static void
bucket_path(const struct conf_badmail *b, enum badmail_class cls, uint64_t id, char *buf,
	    size_t cap)
{
	snprintf(buf, cap, "%s/%s/%04" PRIx64 "/%02" PRIx64, b->path, badmail_id_class(cls),
		 id >> 16, id >> 8 & 0xff);
}

void
badmail_place_tmp(const struct conf_badmail *b, const char *suffix, char *buf, size_t cap)
{
	static _Atomic uint64_t serials;
	struct statefile_owner me = statefile_self();

	snprintf(buf, cap, "%s/tmp/%d.%" PRIu64 ".%" PRIu64 "%s", b->path, (int)me.pid, me.started,
		 atomic_fetch_add(&serials, 1), suffix);
}

/* ---- looking --------------------------------------------------------------------------------- */

bool
badmail_place_there(const char *path)
{
	return faccessat(AT_FDCWD, path, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

bool
badmail_place_next(const struct conf_badmail *b, enum badmail_class cls, uint64_t id, uint64_t end,
		   uint64_t *ret_id)
{
	char path[BADMAIL_PATH_MAX];

	while (id < end) {
		badmail_place_item(b, cls, id, ".json", path, sizeof(path));
		if (badmail_place_there(path)) {
			*ret_id = id;
			return true;
		}
		/* a gap: how large is it? */
		branch_path(b, cls, id, path, sizeof(path));
		if (!badmail_place_there(path)) {
			id = (id | BRANCH) + 1;
			continue;
		}
		bucket_path(b, cls, id, path, sizeof(path));
		id = badmail_place_there(path) ? id + 1 : (id | BUCKET) + 1;
	}
	return false;
}

bool
badmail_place_stat(const struct conf_badmail *b, enum badmail_class cls, uint64_t id,
		   uint64_t *octets, int64_t *time_ms)
{
	char path[BADMAIL_PATH_MAX];
	struct stat st;

	badmail_place_item(b, cls, id, ".eml", path, sizeof(path));
	if (lstat(path, &st) != 0)
		return false;
	*octets = (uint64_t)st.st_size + BADMAIL_OVERHEAD;
	*time_ms = (int64_t)st.st_mtim.tv_sec * 1000 + st.st_mtim.tv_nsec / 1000000;
	return true;
}

/* ---- directories ----------------------------------------------------------------------------- */

bool
badmail_place_sync(const char *path)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	bool ok = fd != -1 && fsync(fd) == 0;

	if (fd != -1)
		(void)close(fd);
	return ok;
}

bool
badmail_place_make_all(const struct conf_badmail *b)
{
	static const char *const dirs[] = {"", "/tmp", "/retry", "/refused"};
	char path[BADMAIL_PATH_MAX];

	for (size_t i = 0; i < sizeof(dirs) / sizeof(dirs[0]); i++) {
		snprintf(path, sizeof(path), "%s%s", b->path, dirs[i]);
		if (mkdir(path, 0700) != 0 && errno != EEXIST)
			return false;
	}
	return badmail_place_sync(b->path);
}

bool
badmail_place_make(const struct conf_badmail *b, enum badmail_class cls, uint64_t id)
{
	char path[BADMAIL_PATH_MAX];

	branch_path(b, cls, id, path, sizeof(path));
	if (mkdir(path, 0700) == 0) {
		char top[BADMAIL_PATH_MAX];

		snprintf(top, sizeof(top), "%s/%s", b->path, badmail_id_class(cls));
		if (!badmail_place_sync(top))
			return false;
	} else if (errno != EEXIST) {
		return false;
	}
	bucket_path(b, cls, id, path, sizeof(path));
	if (mkdir(path, 0700) != 0)
		return errno == EEXIST;
	branch_path(b, cls, id, path, sizeof(path));
	return badmail_place_sync(path);
}

void
badmail_place_drop(const struct conf_badmail *b, enum badmail_class cls, uint64_t id)
{
	char path[BADMAIL_PATH_MAX];

	bucket_path(b, cls, id, path, sizeof(path));
	if (rmdir(path) != 0)
		return;
	branch_path(b, cls, id, path, sizeof(path));
	(void)rmdir(path); /* others are in it */
}

/* ---- tmp ------------------------------------------------------------------------------------- */

void
badmail_place_sweep_tmp(const struct conf_badmail *b)
{
	char path[BADMAIL_PATH_MAX];
	struct dirent *e;
	DIR *d;

	snprintf(path, sizeof(path), "%s/tmp", b->path);
	d = opendir(path);
	while (d && (e = readdir(d)) != NULL) {
		struct statefile_owner o = {0};
		char *end;

		o.pid = (int32_t)strtol(e->d_name, &end, 10);
		if (o.pid <= 0 || *end != '.')
			continue;
		o.started = strtoull(end + 1, NULL, 10);
		if (!statefile_alive(&o))
			(void)unlinkat(dirfd(d), e->d_name, 0);
	}
	if (d)
		closedir(d);
}
