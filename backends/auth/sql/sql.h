/* SPDX-License-Identifier: Apache-2.0 */
/* sql - one instance: its settings, its connections, and what it still has to write. */
#ifndef AUTH_SQL_H
#define AUTH_SQL_H

#include <pthread.h>
#include <stdatomic.h>
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
	char usual[SQL_USUAL_MAX]; /* the hash seen last: what an unknown user has to cost */
	size_t usual_n;

	pthread_mutex_t write_behind_mutex;
	struct stamp *stamps; /* to be written, oldest first */
	struct stamp **last;
	size_t n_stamps;
	int64_t stamp_failed_ms; /* a failure is logged once a minute */
};

/* setup.c */
int32_t setup_check(const struct pm_open *open);
int32_t setup_open(const struct pm_open *open, void **ret_inst);
void setup_close(void *inst);
#define SQL_OPTIONS 23
extern const struct pm_option setup_options[SQL_OPTIONS];

/* pool.c: one statement, on whatever server answers in time. Reads are repeated once, writes
 * too: those here may happen twice. PM_OK fills *r; otherwise the operator's text is in
 * call->error. */
int32_t pool_run(struct inst *i, const struct pm_call *call, enum sql_which which,
		 const struct pm_str *args, struct sql_result *r);
bool pool_has(const struct inst *i, enum sql_which which);
/* Asks servers that were down whether they are back. */
void pool_revive(struct inst *i, int64_t deadline_ms);

/* account.c */
int32_t account_verify(void *inst, const struct pm_call *call, const struct pm_cred *cred,
		       struct pm_user *ret);
int32_t account_lookup(void *inst, const struct pm_call *call, const struct pm_cred *cred,
		       struct pm_user *ret);
int32_t account_secret(void *inst, const struct pm_call *call, const struct pm_cred *cred,
		       struct pm_secret *ret_secret, struct pm_user *ret);
int32_t account_domain(void *inst, const struct pm_call *call, struct pm_str name);

/* row.c: a row of query_user, or of query_passwords, into an account; by the names of its
 * columns. PM_OK, or PM_TEMP or PM_NOMEM with the text in call->error. Strings in the call's
 * memory. */
int32_t row_user(const struct inst *i, const struct pm_call *call, const struct sql_result *r,
		 struct pm_user *u);
int32_t row_password(const struct inst *i, const struct pm_call *call, const struct sql_result *r,
		     uint32_t row, struct pm_user *u);

/* write_behind.c: what may be written a moment later. Copies its arguments. */
void write_behind_login(struct inst *i, struct pm_str user, struct pm_str id,
			const struct pm_cred *cred);
void write_behind_password(struct inst *i, struct pm_str user, struct pm_str old,
			   struct pm_str hash);
int32_t write_behind_event(void *inst, const struct pm_call *call, const struct pm_user *user,
			   uint32_t what);
int32_t write_behind_flush(struct inst *i, const struct pm_call *call);
void write_behind_free(struct inst *i);

#endif
