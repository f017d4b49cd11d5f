/* SPDX-License-Identifier: Apache-2.0 */
/*
 * table - one passwd-file in memory: parsed once, then only read. Lines as Dovecot writes them:
 *
 *   user:{SCHEME}hash:uid:gid:gecos:home:shell:extra fields
 *
 * Empty lines, lines that begin with #, and a byte order mark in front of the first are passed
 * over. Everything after the hash may be missing.
 */
#ifndef PASSWD_TABLE_H
#define PASSWD_TABLE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

#include <restante/module.h>

/* One account; all strings point into the table's text. */
struct entry {
	struct pm_str name, hash, uid, gid, home, extra;
	bool folded; /* names.c: it had capital letters */
};

struct table {
	_Atomic unsigned refs;
	char *text; /* the file, wiped when it goes: it holds hashes */
	size_t text_n;
	struct entry *entries; /* sorted by name */
	size_t n;
	struct pm_str usual; /* a hash of the scheme most used, for unknown users */
	/* names.c: names that nobody can use, or nobody will */
	struct {
		size_t n;
		unsigned line; /* of the first */
		const char *why;
	} odd;
};

/* Parses n bytes (taken over, malloc'd). NULL: err (>= 256 bytes) says which line and what was
 * expected; errno is ENOMEM when it is not the text's fault. */
struct table *table_parse(char *text, size_t n, char *err);
struct table *table_ref(struct table *t);
void table_put(struct table *t);
void table_sort(struct table *t);
bool table_same(const struct entry *a, const struct entry *b); /* by name */
const struct entry *table_find(const struct table *t, const char *name, size_t n);

/* The next field "key" or "key=value" of an extra list; false at the end. */
int table_extra(struct pm_str *rest, struct pm_str *ret_key, struct pm_str *ret_value);

/* Decimal, also with k, m or g (1,024 each); false: none, or too large. */
bool table_number(struct pm_str s, uint64_t *ret);

#endif
