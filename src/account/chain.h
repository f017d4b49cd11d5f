/* SPDX-License-Identifier: Apache-2.0 */
/* chain - account names and which auth sections are asked about them. Pure. */
#ifndef RST_ACCOUNT_CHAIN_H
#define RST_ACCOUNT_CHAIN_H

#include <stdbool.h>
#include <stddef.h>

#include <restante/module.h>

#include "conf/conf.h"

/* A name as the client wrote it -> as modules see it: default_domain added when there is no '@',
 * case rule applied (ASCII; the domain is always lower-cased). False: empty, over PM_NAME_MAX, not
 * UTF-8, or with control characters. ret_name: PM_NAME_MAX + 1 bytes, NUL-terminated. */
bool chain_name(const struct conf *c, const char *raw, size_t n, char *ret_name);

/* Is this section asked about names of this domain? */
bool chain_fits(const struct conf_section *s, const char *name);
/* Index of the first auth section, from `from` on, that is asked about this name; -1: none. */
int chain_next(const struct conf *c, const char *name, int from);

/* The right an account with the right secret still lacks to log in by POP3, in words; NULL: it
 * lacks none. */
const char *chain_lacks(const struct pm_user *u, int64_t wall_ms);

/* The storage section of an accepted user: pm_user.section, else the auth section's; NULL: there is
 * no such section (a configuration or directory error). */
struct conf_section *chain_storage(const struct conf *c, const struct conf_section *auth,
				   const char *section, size_t n);

#endif
