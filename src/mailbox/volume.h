/* SPDX-License-Identifier: Apache-2.0 */
/*
 * volume - the disks mail is written to: is the disk mounted, is there room, may new mail come?
 *
 * A `volume NAME {` block gives a path, perhaps the mount point that must be mounted, a reserve,
 * and a reserve file: disk space that is given back when the disk is full, so that deletions can be
 * committed. Storage sections, Badmail and the state directory name their volume; without one there
 * is nothing to check.
 *
 * New mail is refused below the reserve (452 4.3.1), POP3 goes on and deletions work. A volume that
 * is not mounted is not written to at all: the directory beneath the mount point belongs to another
 * file system.
 *
 * In the server the disks are asked once a second, each by an errand of its own, under a gate of
 * their own, so volume_check and volume_door never block: they read the findings; a disk that has
 * not answered for ten seconds is an error. In tools they ask themselves, at most once a second.
 * Octets written since are counted (volume_wrote); messages that are still being received are not:
 * the reserve is there for them.
 *
 * Threads: any. Records live as long as the process, by name: a reload changes their settings. One
 * whose block a reload removed is neither shown nor looked at, its reserve file is not made again;
 * for sessions of older snapshots the last findings hold, and their writes since then count.
 */
#ifndef RST_MAILBOX_VOLUME_H
#define RST_MAILBOX_VOLUME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "conf/conf.h"

struct volume;

enum volume_state {
	VOLUME_OK,
	VOLUME_LOW,       /* free space is below the reserve: 452 4.3.1 */
	VOLUME_READONLY,  /* mounted read-only: 452 4.3.1 */
	VOLUME_UNMOUNTED, /* 451 4.3.0: an operator's mistake, not a full disk */
	VOLUME_ERROR,     /* the path cannot be examined: 451 4.3.0 */
};

/* Not OK: low and read-only are PM_NOSPACE, full as far as a sender can tell; the others PM_TEMP,
 * which pass. */
int32_t volume_code(enum volume_state s);
/* "ok" "low" "read-only" "not mounted" "error" */
const char *volume_state_name(enum volume_state s);

/* Main, while binding: the record of a volume block, with its new settings. NULL: no memory. */
struct volume *volume_get(const struct conf_volume *v);
/* Main, after privileges were dropped: a first look at the volumes of c; makes reserve files and
 * logs the findings. */
void volume_prepare(const struct conf *c);
/* Acceptor's tick, c current: once a second an errand looks at the volumes in force, makes missing
 * reserve files where there is room for them, and logs every change. */
void volume_tick(const struct conf *c, int64_t now_ms);

/*
 * May `octets` more be written here (0: unknown)? Refused when free space less `octets` is below
 * the reserve. v NULL (the section names none): VOLUME_OK.
 * ret_text  may be NULL; else at least 200 bytes, for the operator: volume, path, the finding and
 *           the limit.
 */
enum volume_state volume_check(struct volume *v, uint64_t octets, char *ret_text, size_t cap);

/* By the last findings: may anything be written? Memory only, and no refusal is counted: for
 * callers that can wait. */
bool volume_ready(struct volume *v);

/*
 * After a commit, for each copy, with its result: PM_OK and PM_UNKNOWN are counted until the next
 * look at the disk sees them, because they are there, or may be; copies with another result are
 * not. v may be NULL.
 */
void volume_wrote(struct volume *v, uint64_t octets, int32_t rc);

/*
 * At MAIL, when no recipient is known yet: VOLUME_OK if the state directory and at least one
 * storage section of the configuration may be written to, else the state of the first that may not.
 * At RCPT the recipient's section is asked by volume_check(backend->vol).
 */
enum volume_state volume_door(const struct conf *c, uint64_t octets, char *ret_text, size_t cap);

/*
 * Is it there? True as well when no mount point is expected (or v is NULL). Asks the kernel, one
 * call without disk or network, so nothing is written beneath a mount point in the second between
 * two looks.
 */
bool volume_mounted(struct volume *v);

/*
 * The same question, with the answers for all who open a mailbox or write to one. *ret_mount is a
 * number for the file system mounted there now. A writer asks before and after it has written, and
 * promises nothing unless the number is the same: a path that was opened between unmounting and
 * mounting led elsewhere. (Before Linux 6.8 a new mount may get the number of an old one.)
 * `text`, of `cap` bytes, is for the operator and names the volume; it may be NULL, and PM_OK
 * leaves it alone.
 *   volume_find    before a mailbox is opened, listed or counted, and before a store is told to
 *                  begin: PM_OK, and *ret_mount (may be NULL) is its number; PM_TEMP: not
 *                  mounted, so nothing is known of the mail on it.
 *   volume_enter   the same before `octets` of mail are written: may they be? Else volume_code.
 *   volume_stayed  before mail written there is promised: PM_OK, or PM_TEMP: another file system is
 *                  mounted by now.
 */
int32_t volume_find(struct volume *v, uint64_t *ret_mount, char *text, size_t cap);
int32_t volume_enter(struct volume *v, uint64_t octets, uint64_t *ret_mount, char *text,
		     size_t cap);
int32_t volume_stayed(struct volume *v, uint64_t mount, char *text, size_t cap);

/* Main, before anything is made in state_dir: false, with the reason in err, when state_volume
 * expects a mount point and nothing is mounted there. */
bool volume_state_there(const struct conf *c, char *err, size_t errlen);

/* host->reserve_release: frees the reserve file of the volume that holds `path`. PM_OK at most
 * once per filling; PM_NOENT: there is none (any more); PM_UNSUPPORTED: no volume holds this
 * path. Any thread. */
int32_t volume_reserve_release(const char *path);

/* The fields of `restantectl volumes`. */
struct volume_status {
	char name[41], path[256], mount[256]; /* cut where longer; mount "": none expected */
	enum volume_state state;
	uint64_t total, available; /* octets; available to the service user */
	uint64_t inodes, inodes_free;
	uint64_t reserve;      /* octets below which new mail is refused */
	uint64_t reserve_file; /* size of the reserve file, 0: none there now */
	uint64_t refused;      /* times new mail was refused */
	uint64_t released;     /* times the reserve file was freed */
	char text[200];
};
/* The volumes of c, in its order. In a server: from memory. */
void volume_each(const struct conf *c, void (*fn)(const struct volume_status *s, void *ctx),
		 void *ctx);

#endif
