/* SPDX-License-Identifier: Apache-2.0 */
#include "mailbox/disk.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/log.h"

#define MIB (1u << 20)
#ifndef STATX_MNT_ID
#define STATX_MNT_ID 0x1000U
#endif
#define MNT_ID_UNIQUE 0x4000U /* since Linux 6.8: an ID that is never given to a later mount */

uint64_t
disk_mounted_at(const char *path)
{
	const unsigned want[] = {STATX_TYPE | MNT_ID_UNIQUE, STATX_TYPE | STATX_MNT_ID};
	struct statx x;
	uint64_t id;

	for (int k = 0; k < 2; k++) {
		if (statx(AT_FDCWD, path, AT_NO_AUTOMOUNT | AT_STATX_DONT_SYNC, want[k], &x) != 0 ||
		    !S_ISDIR(x.stx_mode))
			return 0;
		if (x.stx_attributes_mask & STATX_ATTR_MOUNT_ROOT &&
		    !(x.stx_attributes & STATX_ATTR_MOUNT_ROOT))
			return 0;
		/* stx_mnt_id, which headers of glibc 2.36 do not name yet */
		memcpy(&id,
		       (const char *)&x + offsetof(struct statx, stx_dev_minor) +
			       sizeof(x.stx_dev_minor),
		       sizeof(id));
		if (x.stx_mask & (MNT_ID_UNIQUE | STATX_MNT_ID))
			return id + 1; /* never 0 */
	}
	return 1;
}

void
disk_look(const struct disk *d, struct disk_found *l)
{
	char file[PM_PATH_MAX + 32];
	struct statvfs fs;
	struct stat st;

	*l = (struct disk_found){.state = VOLUME_OK};
	l->mount_id = d->mount[0] ? disk_mounted_at(d->mount) : 0;
	if (d->mount[0] && l->mount_id == 0) {
		l->state = VOLUME_UNMOUNTED;
		snprintf(l->text, sizeof(l->text),
			 "nothing is mounted at %.120s; mount it, or correct mount", d->mount);
		return;
	}
	if (statvfs(d->path, &fs) != 0) {
		l->state = VOLUME_ERROR;
		snprintf(l->text, sizeof(l->text), "%.120s: %s", d->path, strerrordesc_np(errno));
		return;
	}
	l->total = (uint64_t)fs.f_blocks * fs.f_frsize;
	l->available = (uint64_t)fs.f_bavail * fs.f_frsize;
	l->inodes = fs.f_files;
	l->inodes_free = fs.f_favail;
	l->reserve = l->total / 100 * (uint64_t)d->percent;
	if (l->reserve < (uint64_t)d->octets)
		l->reserve = (uint64_t)d->octets;
	snprintf(file, sizeof(file), "%s/" DISK_RESERVE_NAME, d->path);
	l->file_there = lstat(file, &st) == 0 && S_ISREG(st.st_mode) ? (uint64_t)st.st_size : 0;
	if (fs.f_flag & ST_RDONLY) {
		l->state = VOLUME_READONLY;
		snprintf(l->text, sizeof(l->text), "%.150s is mounted read-only", d->path);
	} else if (l->available < l->reserve) {
		l->state = VOLUME_LOW;
		snprintf(l->text, sizeof(l->text),
			 "%" PRIu64 " MiB are free, the reserve is %" PRIu64 " MiB: no new mail",
			 l->available / MIB, l->reserve / MIB);
	} else if (l->inodes > 0 && l->inodes_free * 100 < l->inodes * (uint64_t)d->percent) {
		l->state = VOLUME_LOW;
		snprintf(l->text, sizeof(l->text),
			 "%" PRIu64 " of %" PRIu64 " inodes are free, the reserve is %" PRId64
			 " percent: no new mail",
			 l->inodes_free, l->inodes, d->percent);
	}
}

/* Real blocks, not a hole. Made under another name: a crash leaves no reserve that is too small. */
void
disk_make_reserve(const struct disk *d, int64_t size)
{
	char tmp[PM_PATH_MAX + 40], file[PM_PATH_MAX + 32];
	int fd, rc;

	snprintf(tmp, sizeof(tmp), "%s/" DISK_RESERVE_NAME ".new", d->path);
	snprintf(file, sizeof(file), "%s/" DISK_RESERVE_NAME, d->path);
	fd = open(tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	rc = fd == -1 ? errno : posix_fallocate(fd, 0, size);
	if (fd != -1)
		(void)close(fd);
	if (rc == 0 && rename(tmp, file) != 0)
		rc = errno;
	if (rc != 0) {
		if (fd != -1)
			(void)unlink(tmp);
		log_msg(LOG_LVL_WARNING, "volume",
			"cannot make the reserve file %s: %s; deleting may fail on a full disk",
			file, strerrordesc_np(rc));
	}
}
