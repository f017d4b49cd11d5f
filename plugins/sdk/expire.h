/* SPDX-License-Identifier: Apache-2.0 */
/* expire - the time by which a store may delete what was to be kept until then. Threads: any. */
#ifndef SDK_EXPIRE_H
#define SDK_EXPIRE_H

#include <stddef.h>
#include <stdint.h>

#include <restante/module.h>

/* UTC; 0: nothing may be deleted because of its age now. */
static inline int64_t
sdk_expire_ms(const struct pm_host *host)
{
	if (host->size < offsetof(struct pm_host, expire_ms) + sizeof(host->expire_ms) ||
	    !host->expire_ms)
		return host->wall_ms(host->ctx);
	return host->expire_ms(host->ctx);
}

#endif
