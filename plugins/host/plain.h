/* SPDX-License-Identifier: Apache-2.0 */
/*
 * plain - a host's services where there is no server: clocks, and functions that do nothing. A
 * program that opens a module by itself names them in PLAIN_HOST beside its own log. Threads: any.
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

/* The struct pm_host of such a program, for an initializer: clocks, log and count are its own or
 * those above. */
#define PLAIN_HOST(now_fn, wall_fn, log_fn, count_fn) \
	{ \
		.size = sizeof(struct pm_host), .abi_minor = PM_ABI_MINOR, .now_ms = (now_fn), \
		.wall_ms = (wall_fn), .log = (log_fn), .count = (count_fn), \
		.invalidate = plain_invalidate, .reserve_release = plain_reserve_release, \
	}

#endif
