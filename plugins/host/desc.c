/* SPDX-License-Identifier: Apache-2.0 */
#include "desc.h"

#include <stdio.h>
#include <string.h>

/* min(theirs, ours) bytes, the rest zero, size set to ours. */
static void
copy_sized(void *to, size_t ours, const void *from)
{
	uint32_t theirs, size = (uint32_t)ours;

	memcpy(&theirs, from, sizeof(theirs));
	memset(to, 0, ours);
	memcpy(to, from, theirs < ours ? theirs : ours);
	memcpy(to, &size, sizeof(size));
}

struct pm_option
host_desc_option(const struct pm_module *m, uint32_t i)
{
	struct pm_option o;

	copy_sized(&o, sizeof(o), (const char *)m->options + (size_t)i * m->option_stride);
	return o;
}

static bool
desc_name_ok(struct pm_str s)
{
	if (s.n == 0 || s.n > 64 || !s.p || s.p[0] < 'a' || s.p[0] > 'z')
		return false;
	for (size_t i = 0; i < s.n; i++)
		if (!((s.p[i] >= 'a' && s.p[i] <= 'z') || (s.p[i] >= '0' && s.p[i] <= '9') ||
		      s.p[i] == '_'))
			return false;
	return true;
}

static bool
versions_ok(const struct pm_module *m, char *err, size_t errlen)
{
	if (m->abi_major != PM_ABI_MAJOR || m->abi_minor > PM_ABI_MINOR) {
		snprintf(err, errlen, "its abi is %u.%u, ours is %u.%u; %s", m->abi_major,
			 m->abi_minor, PM_ABI_MAJOR, PM_ABI_MINOR,
			 m->abi_major > PM_ABI_MAJOR || m->abi_minor > PM_ABI_MINOR
				 ? "install a newer restante, or a build of the module for this one"
				 : "rebuild the module against this restante's restante/module.h");
		return false;
	}
	if (!(m->flags & PM_F_DRAFT)) {
		snprintf(err, errlen,
			 "it does not set PM_F_DRAFT; abi %u.%u is a draft, rebuild the module "
			 "against this restante's restante/module.h",
			 PM_ABI_MAJOR, PM_ABI_MINOR);
		return false;
	}
	return true;
}

/* A table must have these methods. */
#define NEED(table, method) \
	{ \
		offsetof(struct host_desc, table), offsetof(struct host_desc, table.method), \
			#table "." #method \
	}
static const struct {
	size_t table, method;
	const char *name;
} needed[] = {
	NEED(life, open),           NEED(auth, caps),          NEED(auth, verify),
	NEED(auth, lookup),         NEED(storage, mbox_open),  NEED(storage, mbox_info),
	NEED(storage, msg_open),    NEED(storage, msg_read),   NEED(storage, msg_close),
	NEED(storage, mbox_commit), NEED(storage, mbox_close), NEED(delivery, dlv_begin),
	NEED(delivery, dlv_rcpt),   NEED(delivery, dlv_write), NEED(delivery, dlv_prepare),
	NEED(delivery, dlv_commit), NEED(delivery, dlv_abort),
};
#undef NEED

/* The first required method that is missing, or NULL. */
static const char *
missing_method(const struct host_desc *d)
{
	const char *base = (const char *)d;

	if (!d->module.life)
		return "life.open";
	if (!d->module.auth && !d->module.storage && !d->module.delivery)
		return "auth, storage or delivery";
	for (size_t i = 0; i < sizeof(needed) / sizeof(needed[0]); i++) {
		uint32_t size;
		void *method;

		/* size 0: the module has no such table; ours are zeroed */
		memcpy(&size, base + needed[i].table, sizeof(size));
		memcpy(&method, base + needed[i].method, sizeof(method));
		if (size != 0 && !method)
			return needed[i].name;
	}
	return NULL;
}

static bool
options_ok(const struct pm_module *m, char *err, size_t errlen)
{
	if (m->n_options > 0 && (!m->options || m->option_stride < sizeof(uint32_t))) {
		snprintf(err, errlen, "it announces %u options and has no table of them",
			 m->n_options);
		return false;
	}
	for (uint32_t i = 0; i < m->n_options; i++) {
		struct pm_option o = host_desc_option(m, i);

		if (!desc_name_ok(o.key) || o.type < PM_OPT_STRING || o.type > PM_OPT_CHOICE ||
		    (o.type == PM_OPT_CHOICE && o.unit.n == 0)) {
			snprintf(err, errlen,
				 "option %u of its schema has no valid key, type or choice", i + 1);
			return false;
		}
	}
	return true;
}

bool
host_desc_take(struct host_desc *to, const struct pm_module *from, char *err, size_t errlen)
{
	/* all fields up to `flags` have always been there */
	if (from->size < offsetof(struct pm_module, name)) {
		snprintf(err, errlen, "its descriptor is %u bytes, too small to be one",
			 from->size);
		return false;
	}
	memset(to, 0, sizeof(*to));
	copy_sized(&to->module, sizeof(to->module), from);
	if (!versions_ok(&to->module, err, errlen))
		return false;
	if (!desc_name_ok(to->module.name)) {
		snprintf(err, errlen, "its descriptor has no valid name ([a-z][a-z0-9_]*)");
		return false;
	}
#define TAKE(table) \
	if (to->module.table) { \
		copy_sized(&to->table, sizeof(to->table), to->module.table); \
		to->module.table = &to->table; \
	}
	TAKE(life)
	TAKE(auth)
	TAKE(storage)
	TAKE(delivery)
#undef TAKE
	const char *missing = missing_method(to);

	if (missing) {
		snprintf(err, errlen, "it has no %s", missing);
		return false;
	}
	return options_ok(&to->module, err, errlen);
}
