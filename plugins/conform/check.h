/* SPDX-License-Identifier: Apache-2.0 */
/* check - the promises that are tested, a table for each subject. */
#ifndef CONFORM_CHECK_H
#define CONFORM_CHECK_H

/* A check's needs, of the module or of the command line. */
#define NEED_STORAGE 1u
#define NEED_DELIVERY 2u /* storage and delivery: the kit makes its own mail */
#define NEED_AUTH 4u
#define NEED_ACCOUNT 8u /* --user and --password */
#define NEED_SHARED 16u /* processes see each other's mail: not with --in-memory */
#define NEED_MARK 32u
#define NEED_HIDE 64u
#define NEED_IMPORT 128u
#define NEED_LIST 256u
#define NEED_STAT 512u
#define NEED_DELETE 1024u
#define NEED_FD 2048u
#define NEED_SECRET 4096u
#define NEED_DOMAIN 8192u
#define NEED_PROBE 16384u
#define NEED_TICK 32768u
#define NEED_EVENT 65536u
#define NEED_SETUP 131072u
#define NEED_COUNTS 262144u

struct check {
	const char *id;     /* "commit.exact" */
	const char *clause; /* of module.h: "R5", "mbox_commit" */
	const char *what;   /* the promise, one sentence */
	unsigned needs;
	void (*fn)(void);
};

/* One table per file; the last record has no id. */
extern const struct check checks_contract[], checks_snapshot[], checks_octets[], checks_commit[],
	checks_hide[], checks_lock[], checks_delivery[], checks_import[], checks_boxes[],
	checks_auth[], checks_limits[], checks_threads[];

#endif
