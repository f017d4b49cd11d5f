/* SPDX-License-Identifier: Apache-2.0 */
/* modules - the verb modules: sections, their gates and caches, and calls under way. Admin thread;
 * a new reference. */
#ifndef RST_ADMIN_MODULES_H
#define RST_ADMIN_MODULES_H

#include <jansson.h>

json_t *modules_answer(const json_t *request);

#endif
