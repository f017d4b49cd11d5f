/* SPDX-License-Identifier: Apache-2.0 */
/*
 * statefile - a small record on disk that several processes and threads change: one page, read and
 * written whole under an OFD lock of its own descriptor.
 *
 * One write of a page either happens or not when a process is killed; a page torn by a power cut is
 * told by its digest. Threads: any; may block on the disk and, briefly, on whoever holds the lock.
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
	char magic[8]; /* what kind of record: the caller's */
	uint32_t size; /* of the whole record */
	uint32_t pad;
	uint64_t digest; /* of all behind it */
};

enum statefile_found {
	STATEFILE_SOUND,
	/* there was none, or an empty one: the record is zeroed but for its head */
	STATEFILE_NEW,
	STATEFILE_DAMAGED, /* torn, or none of ours: likewise */
};

/* Opens (makes) and locks; reads the record of n <= STATEFILE_MAX bytes. -1: errno. */
int statefile_open(const char *path, const char magic[8], void *record, size_t n,
		   enum statefile_found *ret_found);
/* The same without a lock and without making it: a look. -1: errno (ENOENT: there is none). */
int statefile_look(const char *path, const char magic[8], void *record, size_t n,
		   enum statefile_found *ret_found);
/* Writes the record. False: errno, and the old one is still there. */
bool statefile_write(int fd, void *record, size_t n);
/* Unlocks and closes. */
void statefile_close(int fd);

/* Is this text such a record? Pure; the fuzz target. */
enum statefile_found statefile_judge(const void *text, size_t got, const char magic[8], size_t n);

/* ---- who is at work -------------------------------------------------------------------------- */

/* A process, told from later ones with its number. */
struct statefile_owner {
	int32_t pid;
	int32_t pad;
	uint64_t started; /* in ticks since boot */
};

struct statefile_owner statefile_self(void);
bool statefile_is_self(const struct statefile_owner *o);
/* False: it has ended. */
bool statefile_alive(const struct statefile_owner *o);
/* A number of this boot of the machine: what a crash of it may have torn is judged by it. Never
 * 0. */
uint64_t statefile_boot(void);

#endif
