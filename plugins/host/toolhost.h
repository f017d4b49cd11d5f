/* SPDX-License-Identifier: Apache-2.0 */
/*
 * toolhost - a host's services where there is no server: clocks, and functions that do nothing. A
 * program that opens a module by itself names them in TOOLHOST beside its own log. Threads: any.
 */
#ifndef RST_HOST_TOOLHOST_H
#define RST_HOST_TOOLHOST_H

#include <stdint.h>

#include <restante/module.h>

int64_t toolhost_now_ms(void *ctx);
int64_t toolhost_wall_ms(void *ctx);
void toolhost_count(void *ctx, struct pm_str name, int64_t delta);
void toolhost_invalidate(void *ctx, struct pm_str name);
/* PM_UNSUPPORTED: there are no volumes. */
int32_t toolhost_reserve_release(void *ctx, struct pm_str path);

/* The struct pm_host of such a program, for an initializer: clocks, log and count are its own or
 * those above. */
#define TOOLHOST(now_fn, wall_fn, log_fn, count_fn) \
	{ \
		.size = sizeof(struct pm_host), .abi_minor = PM_ABI_MINOR, .now_ms = (now_fn), \
		.wall_ms = (wall_fn), .log = (log_fn), .count = (count_fn), \
		.invalidate = toolhost_invalidate, .reserve_release = toolhost_reserve_release, \
		.expire_ms = (wall_fn), \
	}

#endif
