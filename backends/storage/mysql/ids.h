/* SPDX-License-Identifier: Apache-2.0 */
/* ids - random bytes, and an order of arrival. */
#ifndef MYSQL_IDS_H
#define MYSQL_IDS_H

#include <stddef.h>
#include <stdint.h>

#include <restante/module.h>

#define ID 16                               /* bytes of owners, servers, operations */
#define ORDER_MAX (UINT64_MAX - (1u << 22)) /* the rest is for tries of the next one */

void ids_random(void *p, size_t n);
/* An order of arrival that nothing else in this process has. */
uint64_t ids_arrival(const struct pm_host *host);

#endif
