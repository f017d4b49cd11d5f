/* SPDX-License-Identifier: Apache-2.0 */
/* fault - an instance of the shim. The essay is in fault.c. */
#ifndef FAULT_H
#define FAULT_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include <restante/module.h>

#include "rules.h"

/* One instance. */
struct fault {
	const struct pm_host *host;
	const struct pm_module *inner;
	void *inner_inst;
	struct fault_rule *rules; /* written by open only */
	size_t n_rules;
	char *release; /* NULL: a hang is for ever */
	_Atomic uint64_t calls[FN_COUNT];
	_Atomic int64_t ticked_ms;
};

#endif
