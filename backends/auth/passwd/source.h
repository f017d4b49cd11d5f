/* SPDX-License-Identifier: Apache-2.0 */
/* source - the tables in force, one for each file. */
#ifndef PASSWD_SOURCE_H
#define PASSWD_SOURCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "look.h"
#include "table.h"

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

enum source_state {
	SOURCE_WHOLE,
	SOURCE_PART,    /* the file is being written: of those not in the table nothing is known */
	SOURCE_MISSING, /* no such file */
	SOURCE_FAILED,  /* it cannot be read */
};

/* The table for a domain, with a reference; NULL: there is none. Any thread. */
struct table *source_table(struct inst *i, const char *domain, size_t n,
			   enum source_state *ret_state);

#endif
