/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/offline.h"

#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#include "bind/bind.h"
#include "conf/conf.h"
#include "host/load.h"
#include "net/tls.h"

void
offline_error(void *ctx, const struct conf_where *w, const char *text)
{
	(void)ctx;
	if (w && w->file)
		fprintf(stderr, "%s:%u:%u: %s\n", w->file, w->line, w->column, text);
	else
		fprintf(stderr, "%s\n", text);
}

int
offline_check_conf(const struct ctl *c)
{
	struct conf_errors e = {.report = offline_error};
	const char *file = c->argc > 0 ? c->argv[0] : c->conf_file;
	struct conf *conf;

	tls_global_init();
	conf = conf_load(file, &e);
	if (conf)
		(void)bind_check(conf, &e); /* counted in e */
	conf_put(conf);
	if (e.count > 0) {
		fprintf(stderr, "%zu error%s in %s\n", e.count, e.count == 1 ? "" : "s", file);
		return EX_CONFIG;
	}
	printf("%s: ok\n", file);
	return 0;
}

static const char *
type_name(uint32_t type)
{
	static const char *const names[] = {"?", "text", "number", "yes|no", "file", "one of"};

	return type < 6 ? names[type] : "?";
}

int
offline_module_doc(const struct ctl *c, const char *module)
{
	struct conf_errors e = {0};
	struct conf *conf = conf_load(c->conf_file, &e); /* only for module_dir */
	const char *dir = conf ? conf->module_dir : DEFAULT_MODULE_DIR;
	const struct pm_module *m;
	struct host_lib *lib;
	char err[1024];

	lib = host_load(module, dir, err, sizeof(err));
	if (!lib) {
		fprintf(stderr, "restantectl: %s\n", err);
		conf_put(conf);
		return 1;
	}
	m = host_desc(lib);
	printf("%.*s %.*s (%s)%s%s%s\n", (int)m->name.n, m->name.p, (int)m->version.n, m->version.p,
	       host_path(lib), m->auth ? ", auth" : "", m->storage ? ", storage" : "",
	       m->delivery ? ", delivery" : "");
	for (uint32_t i = 0; i < m->n_options; i++) {
		const struct pm_option *o =
			(const void *)((const char *)m->options + (size_t)i * m->option_stride);

		printf("\n  %.*s (%s%s%.*s%s%s)\n      %.*s\n", (int)o->key.n, o->key.p,
		       type_name(o->type), o->unit.n ? " " : "", (int)o->unit.n,
		       o->unit.p ? o->unit.p : "", o->flags & PM_OPTF_REQUIRED ? ", required" : "",
		       o->flags & PM_OPTF_LIST ? ", repeatable" : "", (int)o->doc.n,
		       o->doc.p ? o->doc.p : "");
		if (o->dflt.n > 0)
			printf("      default: %.*s\n", (int)o->dflt.n, o->dflt.p);
	}
	conf_put(conf);
	return 0;
}
