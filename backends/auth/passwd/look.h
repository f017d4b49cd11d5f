/* SPDX-License-Identifier: Apache-2.0 */
/* look - one file, and whether it is to be believed as it is now. */
#ifndef PASSWD_LOOK_H
#define PASSWD_LOOK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

#include <restante/module.h>

struct inst;
struct source;
struct table;

/* A file as the looks before found it. */
struct look {
	struct stat judged; /* as it was when it was judged last; zeroes: none */
	bool pending;       /* it looks otherwise now: */
	struct stat st;
	int64_t since_ms; /* ... since then */
	int64_t gap_ms;   /* from the look before that */
	unsigned said;    /* what is in the log already */
	int64_t now_ms;   /* of the last look */
	dev_t root_dev;   /* of the directory before %d when the file was read */
};

enum look_verdict {
	LOOK_KEEP,   /* nothing new, or nothing to be believed */
	LOOK_WHOLE,  /* *ret is in force */
	LOOK_PART,   /* so is *ret, or NULL, until the file is whole */
	LOOK_GONE,   /* no file, no accounts */
	LOOK_FAILED, /* a file that cannot be read, and no accounts from before */
};

/* By the one that set s->reading, without the mutex. *ret is untouched without a table. */
enum look_verdict look(struct inst *i, struct source *s, struct table **ret);
/* One file as it is now, or, when it is broken, or cut meanwhile, and was written just now, within
 * three seconds. NULL: err says why. */
struct table *look_once(const struct pm_host *host, const char *path, bool lower, char *err,
			size_t errlen);
/* Warns of names that nobody can use. t may be NULL. */
void look_say_odd(const struct pm_host *host, const char *path, const struct table *t);

#endif
