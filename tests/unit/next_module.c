/* SPDX-License-Identifier: Apache-2.0 */
/* next - a module of an ABI that does not exist yet. */
#include <restante/module.h>

const void *pm_module_v2(uint32_t host_minor, uint32_t index);

PM_EXPORT const void *
pm_module_v2(uint32_t host_minor, uint32_t index)
{
	(void)host_minor;
	(void)index;
	return NULL;
}
