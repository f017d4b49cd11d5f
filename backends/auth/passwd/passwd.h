/* SPDX-License-Identifier: Apache-2.0 */
/* passwd - what passwd.c (accounts, descriptor) and source.c (files) share; table.h is the text
 * of one file. */
#ifndef PASSWD_H
#define PASSWD_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

#include <restante/module.h>

#include "password.h"
#include "table.h"

/* One file; kept for ever, per-domain files bounded by DOMAINS_MAX. */
struct source {
	struct source *next;
	char *domain; /* "" without %d */
	char *path;
	struct table *table; /* NULL: never read */
	struct stat seen;
	int64_t looked_ms;
	bool reading;   /* somebody is at it */
	unsigned users; /* threads that hold a pointer to it */
	bool absent;    /* there was no such file at the last look */
};

struct inst {
	const struct pm_host *host;
	char *file;
	bool per_domain, strip_domain, deny_unknown;
	struct sdk_password_limits limits;
	pthread_mutex_t mutex;
	pthread_cond_t read;    /* a first reading is over */
	struct source *sources; /* under mutex, with all their fields */
	size_t n_sources;
};

/* The table for a domain, with a reference; NULL: there is none (*ret_missing: no such file).
 * Any thread. */
struct table *source_table(struct inst *i, const char *domain, size_t n, bool *ret_missing);
/* One file as it is now; NULL: err says why. */
struct table *source_parse(const char *path, struct stat *ret_st, char *err, size_t errlen);

#endif
