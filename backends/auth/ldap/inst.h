/* SPDX-License-Identifier: Apache-2.0 */
/* inst - one instance of the module. */
#ifndef LDAP_INST_H
#define LDAP_INST_H

#include <restante/module.h>

#include "settings.h"

struct hold;
struct sdk_pool;
struct tls;

struct inst {
	const struct pm_host *host;
	struct settings set;
	struct sdk_pool *pool; /* of pairs, pool.h */
	struct tls *tls;
	struct hold *hold; /* servers that refuse the service */
};

#endif
