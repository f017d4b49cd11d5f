/* SPDX-License-Identifier: Apache-2.0 */
/* passwd - what passwd.c (accounts, descriptor), source.c (tables in force) and look.c (files)
 * share; table.h is the text of one file. */
#ifndef PASSWD_H
#define PASSWD_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

#include <restante/module.h>

#include "password.h"
#include "table.h"

/* A file as look.c knows it. */
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

/* One file; kept for ever, per-domain files bounded by DOMAINS_MAX. */
struct source {
	struct source *next;
	char *domain; /* "" without %d */
	char *path;
	struct table *table; /* in force; NULL: none */
	bool part;           /* it was read, or not even that, while its file was written */
	bool absent;         /* there was no such file at the last look */
	int64_t looked_ms;
	bool reading;     /* somebody is at it, and has `look` */
	unsigned users;   /* threads that hold a pointer to it */
	struct look look; /* without the mutex */
};

struct inst {
	const struct pm_host *host;
	char *file, *root; /* root: the directory before any %d */
	bool per_domain, strip_domain, deny_unknown;
	struct sdk_password_limits limits;
	pthread_mutex_t mutex;
	pthread_cond_t read;    /* a first reading is over */
	struct source *sources; /* under mutex */
	size_t n_sources;
};

/* ---- source.c -------------------------------------------------------------------------------- */

enum source_state {
	SOURCE_WHOLE,
	SOURCE_PART,    /* the file is being written: of those not in the table nothing is known */
	SOURCE_MISSING, /* no such file */
	SOURCE_FAILED,  /* it cannot be read */
};

/* The table for a domain, with a reference; NULL: there is none. Any thread. */
struct table *source_table(struct inst *i, const char *domain, size_t n,
			   enum source_state *ret_state);

/* ---- look.c ---------------------------------------------------------------------------------- */

enum look_verdict {
	LOOK_KEEP,   /* nothing new, or nothing to be believed */
	LOOK_WHOLE,  /* *ret is in force */
	LOOK_PART,   /* so is *ret, or NULL, until the file is whole */
	LOOK_GONE,   /* no file, no accounts */
	LOOK_FAILED, /* a file that cannot be read, and no accounts from before */
};

/* By the one that set s->reading, without the mutex. *ret is untouched without a table. */
enum look_verdict look(struct inst *i, struct source *s, struct table **ret);
/* One file as it is now, or, when it is broken and was written just now, within three seconds.
 * NULL: err says why. */
struct table *look_once(const struct pm_host *host, const char *path, char *err, size_t errlen);

#endif
