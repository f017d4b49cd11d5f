/* SPDX-License-Identifier: Apache-2.0 */
/* passwd - one instance of the module. */
#ifndef PASSWD_H
#define PASSWD_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>

#include <restante/module.h>

#include "password.h"

struct source;

struct inst {
	const struct pm_host *host;
	char *file, *root; /* root: the directory before any %d */
	bool per_domain, strip_domain, deny_unknown;
	bool lower; /* the server asks for names in lower case */
	struct sdk_password_limits limits;
	pthread_mutex_t mutex;
	pthread_cond_t read;    /* a first reading is over */
	struct source *sources; /* under mutex; source.h */
	size_t n_sources;
};

#endif
