/* SPDX-License-Identifier: Apache-2.0 */
/*
 * load - opens module files, checks that they fit, and makes instances of them. Used by the server,
 * restantectl and restante-conform alike. Main thread only; libraries are never unloaded.
 */
#ifndef PM_HOST_LOAD_H
#define PM_HOST_LOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <restante/module.h>

struct host_lib; /* one loaded module of one file */

#define HOST_LIBS_MAX 64 /* each thread remembers which of them it has met */

/*
 * Loads `module`: an absolute file name, or a NAME found as <dir>/NAME.so. In a file with several
 * modules the one called `NAME` is meant (file name: the first).
 * Refused, with a text in err that names path, what was found, what was expected and what to do:
 * no such file; not owned by root (or by the invoking user when that is not root) or writable by
 * others, also a directory of its path; dlopen's reason; no pm_module_v1 (or only another
 * version: its ABI, ours); descriptor too small, wrong major, newer minor, missing DRAFT flag, bad
 * name, tables without a required method. global_init is called once.
 * The same file again returns the same lib.
 */
struct host_lib *host_load(const char *module, const char *dir, char *err, size_t errlen);

/* The descriptor with all sub-tables copied to this host's size, zero-filled (R1): a method the
 * module does not have is NULL. */
const struct pm_module *host_desc(const struct host_lib *lib);
const char *host_path(const struct host_lib *lib);

/* What an instance is opened with; strings are NUL-terminated, borrowed. */
struct host_setting {
	const char *key, *value;
	const char *file; /* where it stands, for errors; NULL: unknown */
	unsigned line;
};

struct host_spec {
	const char *section;
	uint32_t permits, purpose, flags;
	const char *state_dir, *run_dir;
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

/* host_check is done first. NULL: errors were reported. */
struct host_inst *host_open(struct host_lib *lib, const struct host_spec *spec);
/* retire / close; the caller knows that no call is under way. NULL is fine. */
void host_retire(struct host_inst *i);
void host_close(struct host_inst *i);

/* "5 s", "10k" ... as options of type NUMBER take them: digits and a suffix the unit allows
 * (ms s m h d w; k m g with factor 1024). False: not such a number. */
bool host_parse_number(const char *text, const char *unit, int64_t *ret);

/* Nearest of the words to `word` (edit distance <= 2), or NULL. */
const char *host_nearest(const char *word, const char *const *words, size_t n);

#endif
