/* SPDX-License-Identifier: Apache-2.0 */
/* badmail_admin - the questions of restantectl badmail. */
#ifndef RST_BADMAIL_BADMAIL_ADMIN_H
#define RST_BADMAIL_BADMAIL_ADMIN_H

#include <jansson.h>

/* One page of one verb; request and answer are described in badmail_admin.c. Reads only what the
 * page needs and reports how many sidecars that were ("read"). Admin thread. */
json_t *badmail_admin(const json_t *request);

#endif
