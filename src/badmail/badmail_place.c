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

	(void)statefile_join(
		b->path); /* false: before there is a directory, or it cannot be used */
	snprintf(buf, cap, "%s/tmp/%d.%" PRIu64 ".%" PRIu64 "%s", b->path, (int)me.pid, me.mark,
		 atomic_fetch_add(&serials, 1), suffix);
}

/* ---- looking --------------------------------------------------------------------------------- */

static enum badmail_there
place_there(int rc)
{
	return rc == 0 ? BADMAIL_THERE : errno == ENOENT ? BADMAIL_ABSENT : BADMAIL_UNSURE;
}

enum badmail_there
badmail_place_look(const char *path)
{
	return place_there(faccessat(AT_FDCWD, path, F_OK, AT_SYMLINK_NOFOLLOW));
}

/* Is there an item? Else *ret_id is the next one that may be: a gap is as large as the directory
 * that is not there, or that cannot be looked at. */
static enum badmail_there
place_at(const struct conf_badmail *b, enum badmail_class cls, uint64_t id, uint64_t *ret_id)
{
	char path[BADMAIL_PATH_MAX];
	enum badmail_there item, dir;

	badmail_place_item(b, cls, id, ".json", path, sizeof(path));
	item = badmail_place_look(path);
	*ret_id = id;
	if (item == BADMAIL_THERE)
		return item;
	branch_path(b, cls, id, path, sizeof(path));
	dir = badmail_place_look(path);
	if (dir == BADMAIL_THERE) {
		bucket_path(b, cls, id, path, sizeof(path));
		dir = badmail_place_look(path);
		*ret_id = dir == BADMAIL_THERE ? id + 1 : (id | BUCKET) + 1;
	} else {
		*ret_id = (id | BRANCH) + 1;
	}
	return dir == BADMAIL_UNSURE ? dir : item;
}

bool
badmail_place_next(const struct conf_badmail *b, enum badmail_class cls, uint64_t id, uint64_t end,
		   uint64_t *ret_id, bool *ret_unsure)
{
	*ret_unsure = false;
	while (id < end) {
		enum badmail_there there = place_at(b, cls, id, &id);

		if (there == BADMAIL_THERE) {
			*ret_id = id;
			return true;
		}
		*ret_unsure = *ret_unsure || there == BADMAIL_UNSURE;
	}
	return false;
}

enum badmail_there
badmail_place_stat(const struct conf_badmail *b, enum badmail_class cls, uint64_t id,
		   uint64_t *octets, int64_t *time_ms)
{
	char path[BADMAIL_PATH_MAX];
	enum badmail_there there;
	struct stat st;

	badmail_place_item(b, cls, id, ".eml", path, sizeof(path));
	there = place_there(lstat(path, &st));
	if (there != BADMAIL_THERE)
		return there;
	*octets = (uint64_t)st.st_size + BADMAIL_OVERHEAD;
	*time_ms = (int64_t)st.st_mtim.tv_sec * 1000 + st.st_mtim.tv_nsec / 1000000;
	return there;
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
		o.mark = strtoull(end + 1, NULL, 10);
		if (!statefile_alive(b->path, &o))
			(void)unlinkat(dirfd(d), e->d_name, 0);
	}
	if (d)
		closedir(d);
}
