/* SPDX-License-Identifier: Apache-2.0 */
/*
 * plan - the sections of a configuration on their way to being bound: their modules loaded, their
 * permits chosen and proved to be fewer than the workers. Main thread; bind.c only.
 */
#ifndef RST_BIND_PLAN_H
#define RST_BIND_PLAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "conf/conf.h"
#include "host/inst.h"

/* One section on its way to being bound. */
struct plan {
	struct conf_section *section;
	struct host_lib *lib;
	uint32_t permits;
	bool counted; /* has a gate of its own */
};

struct binder {
	struct conf *c;
	struct conf_errors *e;
	uint32_t workers, reserve; /* of the pool there is, at a reload */
	bool tool;
	struct plan *plans; /* auth sections, then storage sections */
	size_t n;
};

/* Where the errors of a section go: error_ctx of the plan_spec. */
struct at {
	struct conf_errors *e;
	const struct conf_where *section;
};

/* Loads the module of each section; a module that cannot be loaded is reported. old: the
 * configuration in force at a reload, whose pool stays, or NULL. The caller frees ->plans.
 * False: no memory. */
bool plan_all(struct binder *b, struct conf *c, const struct conf *old, struct conf_errors *e,
	      bool tool);
/* The plan of a section, or NULL. */
struct plan *plan_find(struct binder *b, enum conf_kind kind, const char *name);
/* Explicit numbers first; the others share the rest. More than the workers allow is reported. */
void plan_permits(struct binder *b);
/* Must this section's module know which domains are ours? With an SMTP listener anybody may
 * hand in mail for any domain, and with unknown_recipient = badmail mail for nobody is kept if
 * the domain is ours: so it must be known. With LMTP the MTA in front knows. A wrapper is
 * believed: the section it wraps is not asked. */
bool plan_wants_domains(const struct binder *b, const struct plan *p);
/* The domain that is appended to names that its module gives without a domain; NULL: nothing. */
const char *plan_name_domain(const struct binder *b, const struct plan *p);
/* True if ann of each domain has the same mailbox in this storage section. */
bool plan_knows_local_parts(struct binder *b, const struct plan *p);
/* The description of a section for the loader. settings: room for n_settings, alive as long as
 * *ret, like *at. */
void plan_spec(struct binder *b, const struct plan *p, struct host_setting *settings, struct at *at,
	       struct host_spec *ret);

#endif
