/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sql - one instance: its settings, its connections, and its pending writes.
 *
 * sql.c             the descriptor
 * setup.c           the settings, and an instance made of them
 * account.c         logins and lookups
 * row.c             from a row of a result to an account
 * write_behind.c    writes that may come a moment later
 * pool.c            one statement, on a server that answers in time
 * query.c           a configured statement, rewritten
 * driver.c          the interface that the databases have in common
 * drivers.c         the drivers of this build
 * result.c          rows of text
 * drv_*.c           one for each database
 */
#ifndef AUTH_SQL_H
#define AUTH_SQL_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <restante/module.h>

#include "driver.h"
#include "password.h"
#include "query.h"

#define SQL_USUAL_MAX 256

struct stamp; /* write_behind.c */

struct inst {
	const struct pm_host *host;
	const struct sql_driver *driver;
	struct sql_access access;
	struct sdk_server servers[SDK_SERVERS_MAX];
	size_t n_servers;
	struct sql_query queries[Q_COUNT];
	int64_t connect_ms, query_ms;
	bool deny_unknown, background;
	struct sdk_password_limits limits;
	char *scheme; /* passwords are brought to it; NULL: left as they are */
	uint32_t scheme_cost;

	struct sdk_pool *pool;

	pthread_mutex_t mutex;
	char usual[SQL_USUAL_MAX]; /* the hash seen last, for the cost of an unknown user */
	size_t usual_n;

	pthread_mutex_t write_behind_mutex;
	struct stamp *stamps; /* to be written, oldest first */
	struct stamp **last;
	size_t n_stamps;
	int64_t stamp_failed_ms; /* a failure is logged once a minute */
};

#endif
