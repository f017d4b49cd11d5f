/* SPDX-License-Identifier: Apache-2.0 */
/*
 * layout - a library whose only interface is the contract: from it libabigail records the layout
 * of every struct of restante/module.h. See tests/abi/layout.sh.
 */
#include <restante/module.h>

struct layout {
	struct pm_str str;
	struct pm_host host;
	struct pm_report report;
	struct pm_option option;
	struct pm_value value;
	struct pm_open open;
	struct pm_call call;
	struct pm_cred cred;
	struct pm_secret secret;
	struct pm_attr attr;
	struct pm_user user;
	struct pm_msg msg;
	struct pm_commit commit;
	struct pm_box box;
	struct pm_stat stat;
	struct pm_rcpt rcpt;
	struct pm_result result;
	struct pm_life life;
	struct pm_auth auth;
	struct pm_storage storage;
	struct pm_delivery delivery;
	struct pm_module module;
};

PM_EXPORT const struct pm_module *
pm_module_v1(uint32_t host_minor, uint32_t index)
{
	static struct layout l;

	(void)host_minor;
	(void)index;
	return &l.module;
}

const void *layout_all(const struct layout *l);

PM_EXPORT const void *
layout_all(const struct layout *l)
{
	return l;
}
