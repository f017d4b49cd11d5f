/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/setup.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "conf/conf.h"
#include "ctl/offline.h"
#include "host/answer.h"
#include "host/call.h"
#include "host/inst.h"
#include "host/toolhost.h"

/* a large store may take its time; the operator may interrupt */
#define ONE_CALL_MS (24 * 3600 * 1000LL)

/* ---- the host a tool's module sees ----------------------------------------------------------- */

static void
log_line(void *ctx, int32_t level, struct pm_str text)
{
	FILE *to = level <= PM_LOG_WARNING ? stderr : stdout;

	(void)ctx;
	fprintf(to, "%.*s\n", (int)text.n, text.p);
	fflush(to);
}

static const struct pm_host host =
	TOOLHOST(toolhost_now_ms, toolhost_wall_ms, log_line, toolhost_count);

static void *
setup_call_alloc(void *ctx, size_t n)
{
	(void)ctx;
	(void)n;
	return NULL; /* setup has no results */
}

static int32_t
setup_call_cancelled(void *ctx)
{
	(void)ctx;
	return 0;
}

/* ---- the section ----------------------------------------------------------------------------- */

static void
print_error(void *ctx, const char *file, unsigned line, const char *text)
{
	(void)ctx;
	fprintf(stderr, "%s:%u: %s\n", file ? file : "restantectl", line, text);
}

static bool
is_module(const struct conf *conf, const struct conf_section *s, const char *module,
	  struct host_lib **ret)
{
	char err[1024];
	struct pm_str name;

	*ret = s->module ? host_load(s->module, conf->module_dir, err, sizeof(err)) : NULL;
	if (!*ret)
		return false;
	name = host_desc(*ret)->name;
	return name.n == strlen(module) && memcmp(name.p, module, name.n) == 0;
}

/* NULL: the reason was printed. */
static const struct conf_section *
setup_find_section(const struct conf *conf, const char *module, const char *name,
		   struct host_lib **ret)
{
	const struct conf_section *found = NULL;
	struct host_lib *lib;
	size_t n = 0;

	for (size_t i = 0; i < conf->n_storage; i++) {
		const struct conf_section *s = &conf->storage[i];

		if ((name && strcmp(s->name, name) != 0) || !is_module(conf, s, module, &lib))
			continue;
		found = s;
		*ret = lib;
		n++;
	}
	if (n == 1)
		return found;
	if (name)
		fprintf(stderr, "restantectl: %s has no storage section '%s' with module = %s\n",
			conf->file, name, module);
	else
		fprintf(stderr, "restantectl: %s has %zu storage sections with module = %s%s\n",
			conf->file, n, module, n ? "; name one" : "");
	return NULL;
}

static struct host_inst *
open_section(const struct conf *conf, const struct conf_section *s, struct host_lib *lib)
{
	struct host_setting *settings = calloc(s->n_settings + 1, sizeof(*settings));
	struct host_spec spec = {
		.section = s->name,
		.permits = 1,
		.purpose = PM_PURPOSE_TOOL,
		.state_dir = conf->state_dir,
		.run_dir = conf->run_dir,
		.settings = settings,
		.n_settings = s->n_settings,
		.host = &host,
		.error = print_error,
	};
	struct host_inst *inst;

	if (!settings)
		return NULL;
	for (size_t i = 0; i < s->n_settings; i++)
		settings[i] =
			(struct host_setting){s->settings[i].key, s->settings[i].value,
					      s->settings[i].where.file, s->settings[i].where.line};
	inst = host_open(lib, &spec);
	free(settings);
	return inst;
}

static int32_t
setup_call(struct host_inst *inst, const char *what)
{
	struct host_call call = {.alloc = setup_call_alloc, .cancelled = setup_call_cancelled};
	int32_t rc;

	do {
		host_call_init(&call, toolhost_now_ms(NULL) + ONE_CALL_MS, 0);
		rc = host_setup(inst, &call, (struct pm_str){what, strlen(what)});
	} while (rc == PM_AGAIN);
	if (rc != PM_OK)
		fprintf(stderr, "restantectl: section %s: %s %s\n", inst->section,
			host_code_name(rc), call.error);
	return rc;
}

int
setup_module(const struct ctl *c, const char *module, const char *section, const char *what)
{
	struct conf_errors e = {.report = offline_error};
	struct conf *conf = conf_load(c->conf_file, &e);
	const struct conf_section *s;
	struct host_inst *inst;
	struct host_lib *lib = NULL;
	int rc = EX_CONFIG;

	if (!conf || e.count > 0) {
		fprintf(stderr, "restantectl: nothing was done: %s has errors\n", c->conf_file);
		conf_put(conf);
		return EX_CONFIG;
	}
	s = setup_find_section(conf, module, section, &lib);
	inst = s ? open_section(conf, s, lib) : NULL;
	if (inst)
		rc = setup_call(inst, what) == PM_OK ? 0 : 1;
	host_close(inst);
	conf_put(conf);
	return rc;
}
