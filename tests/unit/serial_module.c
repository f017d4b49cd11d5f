/* SPDX-License-Identifier: Apache-2.0 */
/*
 * serial - a module that makes one call at a time, reports how it was opened, and can be told not
 * to open: caps() holds its permits, its purpose above them, and the number of instances above
 * that.
 */
#include <restante/module.h>

#include <stdatomic.h>
#include <stdlib.h>

struct inst {
	uint32_t permits, purpose;
};

static _Atomic uint64_t instances;

static int32_t
serial_open(const struct pm_open *open, void **ret_inst)
{
	static const char why[] = "it is told to";
	struct inst *i;

	if (open->n_options > 0 && open->options[0].num) {
		open->report->error(open->report, (struct pm_str){"fail", 4},
				    (struct pm_str){why, sizeof(why) - 1});
		return PM_INVALID;
	}
	i = calloc(1, sizeof(*i));
	if (!i)
		return PM_NOMEM;
	i->permits = open->permits;
	i->purpose = open->purpose;
	atomic_fetch_add(&instances, 1);
	*ret_inst = i;
	return PM_OK;
}

static void
serial_close(void *inst)
{
	atomic_fetch_sub(&instances, 1);
	free(inst);
}

static int32_t
serial_caps(void *inst, uint64_t *ret_kinds)
{
	const struct inst *i = inst;

	*ret_kinds = i->permits | i->purpose << 8 | atomic_load(&instances) << 16;
	return PM_OK;
}

static int32_t
serial_verify(void *inst, const struct pm_call *call, const struct pm_cred *cred,
	      struct pm_user *ret_user)
{
	(void)inst;
	(void)call;
	(void)cred;
	(void)ret_user;
	return PM_NEXT;
}

#define STR(s) \
	{ \
		(s), sizeof(s) - 1 \
	}

static const struct pm_option options[] = {
	{sizeof(struct pm_option), PM_OPT_BOOL, 0, 0, STR("fail"), STR(""), STR("no"),
	 STR("not to be opened")},
};

static const struct pm_life life = {
	.size = sizeof(life), .open = serial_open, .close = serial_close};

static const struct pm_auth auth = {
	.size = sizeof(auth),
	.caps = serial_caps,
	.verify = serial_verify,
	.lookup = serial_verify,
};

static const struct pm_module module = {
	.size = sizeof(module),
	.abi_major = PM_ABI_MAJOR,
	.abi_minor = PM_ABI_MINOR,
	.flags = PM_F_DRAFT | PM_F_SERIAL,
	.name = STR("serial"),
	.version = STR("1"),
	.licence = STR("Apache-2.0"),
	.options = options,
	.n_options = 1,
	.option_stride = sizeof(options[0]),
	.life = &life,
	.auth = &auth,
};

PM_EXPORT const struct pm_module *
pm_module_v1(uint32_t host_minor, uint32_t index)
{
	(void)host_minor;
	return index == 0 ? &module : NULL;
}
