/* SPDX-License-Identifier: Apache-2.0 */
/* query - a configured statement with named parameters, rewritten once into the form that a
 * database prepares. Names become placeholders outside of quotes and comments only; a value never
 * becomes part of the text. Pure. */
#ifndef SQL_QUERY_H
#define SQL_QUERY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <restante/module.h>

enum sql_dialect { SQL_MYSQL, SQL_PGSQL, SQL_SQLITE };

/* The statements of a section. */
enum sql_which {
	Q_USER,
	Q_PASSWORDS,
	Q_TARGETS,
	Q_DOMAIN,
	Q_SET_PASSWORD,
	Q_SET_LOGIN,
	Q_SET_USED,
	Q_PROBE,
	Q_COUNT
};

/* The names that may follow a colon. */
enum sql_param {
	P_USER,
	P_LOCAL,
	P_DOMAIN,
	P_PEER,
	P_SERVICE,
	P_HASH,
	P_OLD,
	P_TIME,
	P_ID,
	P_COUNT
};

#define SQL_PLACES_MAX 32

struct sql_query {
	enum sql_which which;
	const char *option; /* the setting it came from; NULL: not configured */
	char *text;         /* NUL-terminated, with the database's own placeholders */
	size_t n_places;
	uint8_t place[SQL_PLACES_MAX]; /* enum sql_param, one per placeholder, in order */
};

/* False: why (>= 160 bytes) gets the reason. *q is to be freed by query_free in any case. */
bool query_parse(struct sql_query *q, enum sql_which which, enum sql_dialect d, struct pm_str text,
		 char *why);
void query_free(struct sql_query *q);
/* :user, :local and :domain of a name, among a statement's arguments (P_COUNT). */
void query_name(struct pm_str *args, struct pm_str name);

#endif
