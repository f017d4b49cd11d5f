/* SPDX-License-Identifier: Apache-2.0 */
/*
 * inst - instances of modules: settings as text become values as the schema types them, the module
 * checks them, and an instance is opened. Main thread only.
 */
#ifndef PM_HOST_INST_H
#define PM_HOST_INST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "load.h"

/* The settings and surroundings of an instance; strings are NUL-terminated, borrowed. */
struct host_setting {
	const char *key, *value;
	const char *file; /* for errors: the file it is in; NULL: unknown */
	unsigned line;
};

struct host_spec {
	const char *section;
	uint32_t permits, purpose, flags;
	const char *state_dir, *run_dir;
	const char *name_domain; /* NULL: none is appended */
	const struct host_setting *settings;
	size_t n_settings;
	struct host_inst *inner;    /* wrapped instance; NULL: none */
	const struct pm_host *host; /* services; size, abi_minor and ctx set */
	/* every error of the section: key may be ""; file/line of the setting if known */
	void (*error)(void *ctx, const char *file, unsigned line, const char *text);
	void *error_ctx;
};

/*
 * Checks settings against the schema (unknown key with nearest-name hint, type, required, given
 * twice) and then asks the module's check(). All errors are reported. No side effect, no network.
 */
bool host_check(struct host_lib *lib, const struct host_spec *spec);

/* One open instance. The method tables are in desc; handles are the module's. */
struct host_inst {
	struct host_lib *lib;
	const struct pm_module *desc;
	void *inst;
	char *section;
	struct host_inst *inner;
	const struct pm_host *host;
};

/* After a host_check that succeeded. NULL: errors were reported. */
struct host_inst *host_open(struct host_lib *lib, const struct host_spec *spec);
/* retire / close; the caller knows that no call is under way. NULL is fine. */
void host_retire(struct host_inst *i);
void host_close(struct host_inst *i);

#endif
