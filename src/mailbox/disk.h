/* SPDX-License-Identifier: Apache-2.0 */
/* disk - one look at the disk of a volume, and its reserve file. May block as long as the disk
 * does. Threads: any. */
#ifndef RST_MAILBOX_DISK_H
#define RST_MAILBOX_DISK_H

#include <stdint.h>

#include <restante/module.h>

#include "mailbox/volume.h"

#define DISK_RESERVE_NAME ".restante-reserve"

/* The place to look at, and the reserve that is wanted there. */
struct disk {
	char path[PM_PATH_MAX + 1], mount[PM_PATH_MAX + 1]; /* mount "": none expected */
	int64_t percent, octets;                            /* the reserve: the larger of the two */
};

struct disk_found {
	enum volume_state state;
	uint64_t mount_id; /* of the file system mounted at `mount`; 0: none */
	uint64_t total, available, inodes, inodes_free, reserve, file_there;
	char text[200]; /* for the operator; "" when ok */
};

void disk_look(const struct disk *d, struct disk_found *ret);
/* The reserve file, of `size` octets; a failure is logged. */
void disk_make_reserve(const struct disk *d, int64_t size);
/* A number for the file system mounted at this path; 0: none. One system call, without disk or
 * network. */
uint64_t disk_mounted_at(const char *path);

#endif
