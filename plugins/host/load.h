/* SPDX-License-Identifier: Apache-2.0 */
/*
 * load - opens module files and checks that they fit. Used by the server, restantectl and
 * restante-conform alike. Main thread only; libraries are never unloaded.
 */
#ifndef PM_HOST_LOAD_H
#define PM_HOST_LOAD_H

#include <stddef.h>

#include <restante/module.h>

struct host_lib; /* one loaded module of one file */

#define HOST_LIBS_MAX 64 /* each thread remembers which of them it has called */

/*
 * Loads `module`: an absolute file name, or a NAME found as <dir>/NAME.so. A file with several
 * modules: the one called `NAME` (file name: the first).
 * Refused, with a text in err that names the path, the finding, the expectation and the remedy:
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

#endif
