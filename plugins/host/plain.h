/* SPDX-License-Identifier: Apache-2.0 */
/*
 * plain - a host's services where there is no server: clocks, and functions that do nothing. A program that opens a
 * module by itself names them in its struct pm_host beside its own log. Threads: any.
 */
#ifndef RST_HOST_PLAIN_H
#define RST_HOST_PLAIN_H

#include <stdint.h>

#include <restante/module.h>

int64_t plain_now_ms(void *ctx);
int64_t plain_wall_ms(void *ctx);
void plain_count(void *ctx, struct pm_str name, int64_t delta);
void plain_invalidate(void *ctx, struct pm_str name);
/* PM_UNSUPPORTED: there are no volumes. */
int32_t plain_reserve_release(void *ctx, struct pm_str path);

#endif
