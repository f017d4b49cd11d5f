/* SPDX-License-Identifier: Apache-2.0 */
/*
 * statefile - a small record on disk that several processes and threads change: one page, read and
 * written as a whole under an OFD lock of its own descriptor.
 *
 * When a process is killed, its write of a page either happens or not; a page torn by a power cut
 * is found by its digest. Threads: any; may block on the disk and, briefly, on the holder of the
 * lock.
 */
#ifndef RST_BASE_STATEFILE_H
#define RST_BASE_STATEFILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define STATEFILE_MAX 4096

/* First member of every record. */
struct statefile_head {
	char magic[8]; /* the kind of record; the caller's choice */
	uint32_t size; /* of the whole record */
	uint32_t pad;
	uint64_t digest; /* checksum of the bytes that follow this header */
};

enum statefile_found {
	STATEFILE_SOUND,
	/* there was none, or an empty one: the record is zeroed except its head */
	STATEFILE_NEW,
	STATEFILE_DAMAGED, /* torn, or not ours: likewise */
};

/* Opens (makes) and locks; reads the record of n <= STATEFILE_MAX bytes. -1: errno. */
int statefile_open(const char *path, const char magic[8], void *record, size_t n,
		   enum statefile_found *ret_found);
/* Reads without a lock, and without making the file. -1: errno (ENOENT: there is none). */
int statefile_look(const char *path, const char magic[8], void *record, size_t n,
		   enum statefile_found *ret_found);
/* Writes the record. False: errno, and the old record is still there. */
bool statefile_write(int fd, void *record, size_t n);
/* Unlocks and closes. */
void statefile_close(int fd);

/* ---- who is at work -------------------------------------------------------------------------- */

/* A process, distinct from later ones with the same number. It is told to be alive by a file in
 * alive/ of a directory, which it keeps locked: /proc may hide other users' processes. */
struct statefile_owner {
	int32_t pid;
	int32_t pad;
	uint64_t mark; /* random */
};

struct statefile_owner statefile_self(void);
bool statefile_is_self(const struct statefile_owner *o);
/* From now on others see that this process is alive, by this directory. Before statefile_self is
 * written down in it. Any number of times. False: errno. */
bool statefile_join(const char *dir);
/* False: it has ended. One whose file cannot be looked at lives. */
bool statefile_alive(const char *dir, const struct statefile_owner *o);
/* A number of this boot of the machine: if it has changed, a crash may have torn the record. Never
 * 0. */
uint64_t statefile_boot(void);
/* Do both stand for one boot? Where the kernel's own number cannot be read they are near each
 * other. */
bool statefile_same_boot(uint64_t a, uint64_t b);

#endif
