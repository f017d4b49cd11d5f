/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Libraries stay loaded for ever: client libraries register thread destructors and atexit handlers
 * that an unload would leave dangling.
 */
#include "load.h"

#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "desc.h"
#include "trust.h"

#define ERR_MAX 512

struct host_lib {
	struct host_lib *next;
	char *path; /* real */
	void *dl;
	uint32_t index; /* in its file */
	struct host_desc desc;
};

typedef const struct pm_module *entry_fn(uint32_t host_minor, uint32_t index);

static struct host_lib *libs; /* main thread only */
static unsigned n_libs;

const struct pm_module *
host_desc(const struct host_lib *lib)
{
	return &lib->desc.module;
}

const char *
host_path(const struct host_lib *lib)
{
	return lib->path;
}

/* Asked for by file name: the first of the file; by name: the one of that name. */
static bool
load_is_wanted(const struct pm_module *m, uint32_t index, const char *module)
{
	if (module[0] == '/')
		return index == 0;
	return m->name.n == strlen(module) && memcmp(m->name.p, module, m->name.n) == 0;
}

static struct host_lib *
find_loaded(const char *real, const char *module)
{
	for (struct host_lib *l = libs; l; l = l->next)
		if (strcmp(l->path, real) == 0 && load_is_wanted(&l->desc.module, l->index, module))
			return l;
	return NULL;
}

/* The file of a module's name, real, in buf (PATH_MAX). */
static bool
load_locate(const char *module, const char *dir, char *buf, char *err, size_t errlen)
{
	char path[PM_PATH_MAX + 1];
	int n;

	if (module[0] != '/' && strchr(module, '/')) {
		snprintf(err, errlen, "module '%s': give a name, or an absolute file name", module);
		return false;
	}
	n = module[0] == '/' ? snprintf(path, sizeof(path), "%s", module)
			     : snprintf(path, sizeof(path), "%s/%s.so", dir, module);
	if (n < 0 || (size_t)n >= sizeof(path)) {
		snprintf(err, errlen, "module '%s': the file name is too long", module);
		return false;
	}
	if (!realpath(path, buf)) {
		snprintf(err, errlen, "module '%s': '%s': %s%s", module, path,
			 strerrordesc_np(errno),
			 module[0] == '/' ? "" : "; module_dir says where modules are");
		return false;
	}
	return true;
}

/* Explains why there is no pm_module_v1. */
static void
explain_no_entry(void *dl, const char *real, char *err, size_t errlen)
{
	for (unsigned v = 2; v < 10; v++) {
		char symbol[24];

		snprintf(symbol, sizeof(symbol), "pm_module_v%u", v);
		if (dlsym(dl, symbol)) {
			snprintf(err, errlen,
				 "'%s': its abi is %u, ours is %u.%u; install a newer restante, or "
				 "a "
				 "build of the module for this one",
				 real, v, PM_ABI_MAJOR, PM_ABI_MINOR);
			return;
		}
	}
	snprintf(err, errlen,
		 "'%s' is not a module of restante: it exports no pm_module_v1 (abi %u.%u)", real,
		 PM_ABI_MAJOR, PM_ABI_MINOR);
}

static const struct pm_module *
find_module(void *dl, const char *real, const char *module, uint32_t *ret_index, char *err,
	    size_t errlen)
{
	entry_fn *entry;
	void *symbol = dlsym(dl, "pm_module_v1");
	const struct pm_module *m;

	if (!symbol) {
		explain_no_entry(dl, real, err, errlen);
		return NULL;
	}
	memcpy(&entry, &symbol, sizeof(entry)); /* POSIX's way from object to function pointer */
	for (uint32_t i = 0; i < 64 && (m = entry(PM_ABI_MINOR, i)) != NULL; i++) {
		if (m->size < offsetof(struct pm_module, version) || load_is_wanted(m, i, module)) {
			*ret_index = i;
			return m; /* one that is too small is refused with a text later */
		}
	}
	snprintf(err, errlen, "'%s' holds no module called '%s'", real, module);
	return NULL;
}

/* The file is not loaded yet. *ret_dl stays open for ever. */
static bool
load_file(const char *module, const char *real, void **ret_dl, char *err, size_t errlen)
{
	char why[ERR_MAX];

	if (n_libs == HOST_LIBS_MAX) {
		snprintf(err, errlen,
			 "module '%s' is not loaded: %d modules are, and that is the most", module,
			 HOST_LIBS_MAX);
		return false;
	}
	if (!host_trust(real, why, sizeof(why))) {
		snprintf(err, errlen, "module '%s' is not loaded: %s", module, why);
		return false;
	}
	*ret_dl = dlopen(real, RTLD_NOW | RTLD_LOCAL);
	if (!*ret_dl)
		snprintf(err, errlen, "module '%s': %s; `ldd %s` shows what is missing", module,
			 dlerror(), real);
	return *ret_dl != NULL;
}

/* The checked and initialised lib of a descriptor; NULL: the reason is in err. */
static struct host_lib *
load_make_lib(const struct pm_module *found, uint32_t index, const char *real, char *err,
	      size_t errlen)
{
	struct host_lib *lib = calloc(1, sizeof(*lib));
	char why[ERR_MAX] = "no memory";

	if (!lib || !(lib->path = strdup(real)) ||
	    !host_desc_take(&lib->desc, found, why, sizeof(why))) {
		snprintf(err, errlen, "'%s' does not fit: %s", real, why);
		goto fail;
	}
	if (lib->desc.life.global_init && lib->desc.life.global_init() != PM_OK) {
		snprintf(err, errlen, "'%s': its global_init failed; its own messages say why",
			 real);
		goto fail;
	}
	lib->index = index;
	return lib;
fail:
	if (lib)
		free(lib->path);
	free(lib);
	return NULL;
}

struct host_lib *
host_load(const char *module, const char *dir, char *err, size_t errlen)
{
	char real[PATH_MAX];
	const struct pm_module *found;
	struct host_lib *lib;
	uint32_t index = 0;
	void *dl;

	if (!load_locate(module, dir, real, err, errlen))
		return NULL;
	lib = find_loaded(real, module);
	if (lib)
		return lib;
	if (!load_file(module, real, &dl, err, errlen))
		return NULL;
	found = find_module(dl, real, module, &index, err, errlen);
	lib = found ? load_make_lib(found, index, real, err, errlen) : NULL;
	if (!lib)
		return NULL; /* dl stays: see above */
	lib->dl = dl;
	lib->next = libs;
	libs = lib;
	n_libs++;
	return lib;
}
