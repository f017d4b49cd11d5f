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
name_ok(struct pm_str s)
{
	if (s.n == 0 || s.n > 64 || !s.p || s.p[0] < 'a' || s.p[0] > 'z')
		return false;
	for (size_t i = 0; i < s.n; i++)
		if (!((s.p[i] >= 'a' && s.p[i] <= 'z') || (s.p[i] >= '0' && s.p[i] <= '9') || s.p[i] == '_'))
			return false;
	return true;
}

static bool
versions_ok(const struct pm_module *m, char *err, size_t errlen)
{
	if (m->abi_major != PM_ABI_MAJOR || m->abi_minor > PM_ABI_MINOR) {
		snprintf(err, errlen, "its abi is %u.%u, ours is %u.%u; %s", m->abi_major, m->abi_minor,
			 PM_ABI_MAJOR, PM_ABI_MINOR,
			 m->abi_major > PM_ABI_MAJOR || m->abi_minor > PM_ABI_MINOR
				 ? "install a newer restante, or a build of the module for this one"
				 : "rebuild the module against this restante's restante/module.h");
		return false;
	}
	if (!(m->flags & PM_F_DRAFT)) {
		snprintf(err, errlen, "it does not set PM_F_DRAFT; abi %u.%u is a draft, rebuild the module "
				      "against this restante's restante/module.h",
			 PM_ABI_MAJOR, PM_ABI_MINOR);
		return false;
	}
	return true;
}

/* The first required method that is missing, or NULL. */
static const char *
missing_method(const struct host_desc *d)
{
	const struct pm_auth *a = d->module.auth;
	const struct pm_storage *s = d->module.storage;
	const struct pm_delivery *v = d->module.delivery;

	if (!d->module.life || !d->life.open)
		return "life.open";
	if (!a && !s && !v)
		return "auth, storage or delivery";
	if (a && (!a->caps || !a->verify || !a->lookup))
		return !a->caps ? "auth.caps" : !a->verify ? "auth.verify" : "auth.lookup";
	if (s && (!s->mbox_open || !s->mbox_info || !s->mbox_commit || !s->mbox_close))
		return !s->mbox_open ? "storage.mbox_open" : !s->mbox_info ? "storage.mbox_info"
		       : !s->mbox_commit			   ? "storage.mbox_commit"
								   : "storage.mbox_close";
	if (s && (!s->msg_open || !s->msg_read || !s->msg_close))
		return !s->msg_open ? "storage.msg_open" : !s->msg_read ? "storage.msg_read"
									 : "storage.msg_close";
	if (v && (!v->dlv_begin || !v->dlv_rcpt || !v->dlv_write || !v->dlv_prepare || !v->dlv_commit ||
		  !v->dlv_abort))
		return "delivery: one of its six methods";
	return NULL;
}

static bool
options_ok(const struct pm_module *m, char *err, size_t errlen)
{
	if (m->n_options > 0 && (!m->options || m->option_stride < sizeof(uint32_t))) {
		snprintf(err, errlen, "it announces %u options and has no table of them", m->n_options);
		return false;
	}
	for (uint32_t i = 0; i < m->n_options; i++) {
		struct pm_option o = host_desc_option(m, i);

		if (!name_ok(o.key) || o.type < PM_OPT_STRING || o.type > PM_OPT_CHOICE) {
			snprintf(err, errlen, "option %u of its schema has no valid key or type", i + 1);
			return false;
		}
	}
	return true;
}

bool
host_desc_take(struct host_desc *to, const struct pm_module *from, char *err, size_t errlen)
{
	/* all fields up to `flags` are older than any version */
	if (from->size < offsetof(struct pm_module, name)) {
		snprintf(err, errlen, "its descriptor is %u bytes, too small to be one", from->size);
		return false;
	}
	copy_sized(&to->module, sizeof(to->module), from);
	if (!versions_ok(&to->module, err, errlen))
		return false;
	if (!name_ok(to->module.name)) {
		snprintf(err, errlen, "its descriptor has no valid name ([a-z][a-z0-9_]*)");
		return false;
	}
#define TAKE(table)                                                                                          \
	if (to->module.table) {                                                                              \
		copy_sized(&to->table, sizeof(to->table), to->module.table);                                 \
		to->module.table = &to->table;                                                               \
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
