/* SPDX-License-Identifier: Apache-2.0 */
#include "inst.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "desc.h"
#include "nearest.h"
#include "number.h"

#define REPORT_MAX 1024

/* The values of one section and the way back to their settings. */
struct values {
	struct pm_value *v;
	uint32_t n, cap;
	char **texts; /* defaults, with a NUL of our own (R9) */
	size_t n_texts;
	const struct host_spec *spec;
	const struct pm_module *m;
	size_t errors;
	/* a value the module may rely on is missing: it is not asked to check the others */
	bool gaps;
};

/* ---- errors ---------------------------------------------------------------------------------- */

static void
inst_report(struct values *vs, const struct host_setting *at, const char *text)
{
	vs->errors++;
	vs->spec->error(vs->spec->error_ctx, at ? at->file : NULL, at ? at->line : 0, text);
}

static const struct host_setting *
setting_of(const struct host_spec *spec, struct pm_str key)
{
	for (size_t i = 0; i < spec->n_settings; i++)
		if (strlen(spec->settings[i].key) == key.n &&
		    memcmp(spec->settings[i].key, key.p, key.n) == 0)
			return &spec->settings[i];
	return NULL;
}

/* pm_report's function: the module itself found an error. */
static void
module_report(const struct pm_report *r, struct pm_str key, struct pm_str text)
{
	struct values *vs = r->ctx;
	char line[REPORT_MAX];

	snprintf(line, sizeof(line), "section %s: %.*s%s%.*s", vs->spec->section,
		 (int)(key.n < 64 ? key.n : 64), key.p ? key.p : "", key.n ? ": " : "",
		 (int)(text.n < REPORT_MAX ? text.n : REPORT_MAX), text.p ? text.p : "");
	for (char *p = line; *p; p++)
		if ((unsigned char)*p < 0x20 || *p == 0x7f)
			*p = '?';
	inst_report(vs, key.n ? setting_of(vs->spec, key) : NULL, line);
}

/* ---- settings against the schema ------------------------------------------------------------- */

static bool
find_option(const struct pm_module *m, const char *key, struct pm_option *ret)
{
	for (uint32_t i = 0; i < m->n_options; i++) {
		struct pm_option o = host_desc_option(m, i);

		if (o.key.n == strlen(key) && memcmp(o.key.p, key, o.key.n) == 0) {
			*ret = o;
			return true;
		}
	}
	return false;
}

static void
unknown_key(struct values *vs, const struct host_setting *s)
{
	static char keys[64][72];
	const char *words[64];
	size_t n = 0;
	char text[REPORT_MAX];
	const char *near;

	for (uint32_t i = 0; i < vs->m->n_options && n < 64; i++, n++) {
		struct pm_option o = host_desc_option(vs->m, i);

		snprintf(keys[n], sizeof(keys[n]), "%.*s", (int)o.key.n, o.key.p);
		words[n] = keys[n];
	}
	near = host_nearest(s->key, words, n);
	snprintf(text, sizeof(text), "section %s: module %.*s knows no setting '%s'%s%s%s",
		 vs->spec->section, (int)vs->m->name.n, vs->m->name.p, s->key,
		 near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
	inst_report(vs, s, text);
}

/* Index of the word in "a|b|c", or -1. */
static int64_t
inst_choice_index(struct pm_str words, const char *text)
{
	size_t n = strlen(text), at = 0;

	for (int64_t i = 0; at <= words.n; i++) {
		const char *bar = memchr(words.p + at, '|', words.n - at);
		size_t len = bar ? (size_t)(bar - (words.p + at)) : words.n - at;

		if (len == n && memcmp(words.p + at, text, n) == 0)
			return i;
		at += len + 1;
	}
	return -1;
}

static bool
bool_value(const char *text, int64_t *ret)
{
	static const char *const yes[] = {"yes", "true", "on", "1"}, *const no[] = {"no", "false",
										    "off", "0"};

	for (size_t i = 0; i < 4; i++) {
		if (strcasecmp(text, yes[i]) == 0 || strcasecmp(text, no[i]) == 0) {
			*ret = strcasecmp(text, yes[i]) == 0;
			return true;
		}
	}
	return false;
}

/* NULL, or the expected kind of value. */
static const char *
inst_convert(const struct pm_option *o, const char *text, int64_t *ret, char *buf, size_t cap)
{
	char unit[16];

	switch (o->type) {
	case PM_OPT_NUMBER:
		snprintf(unit, sizeof(unit), "%.*s", (int)o->unit.n, o->unit.p ? o->unit.p : "");
		if (host_parse_number(text, unit, ret))
			return NULL;
		snprintf(buf, cap, "a number%s%s",
			 *unit ? " with or without a unit, counted in " : "", unit);
		return buf;
	case PM_OPT_BOOL:
		return bool_value(text, ret) ? NULL : "yes or no";
	case PM_OPT_PATH:
		return text[0] == '/' && strlen(text) <= PM_PATH_MAX ? NULL
								     : "an absolute file name";
	case PM_OPT_CHOICE:
		*ret = inst_choice_index(o->unit, text);
		if (*ret >= 0)
			return NULL;
		snprintf(buf, cap, "one of %.*s", (int)o->unit.n, o->unit.p);
		return buf;
	default:
		return NULL;
	}
}

static void add_default(struct values *vs, const struct pm_option *o);

static void
add_value(struct values *vs, const struct pm_option *o, const char *text,
	  const struct host_setting *at)
{
	char expected[200], line[REPORT_MAX];
	int64_t num = 0;
	const char *wrong = inst_convert(o, text, &num, expected, sizeof(expected));

	if (wrong) {
		bool secret = o->flags & PM_OPTF_SECRET;

		snprintf(line, sizeof(line), "section %s: %.*s%s%s: expected %s", vs->spec->section,
			 (int)o->key.n, o->key.p, secret ? "" : " = ", secret ? "" : text, wrong);
		inst_report(vs, at, line);
		vs->gaps |= (o->flags & PM_OPTF_REQUIRED) != 0;
		if (at && o->dflt.n > 0)
			add_default(vs, o); /* so that the module can still judge the others */
		return;
	}
	if (vs->n == vs->cap) {
		uint32_t cap = vs->cap ? vs->cap * 2 : 32;
		struct pm_value *more = realloc(vs->v, cap * sizeof(*more));

		if (!more) {
			inst_report(vs, at, "no memory");
			vs->gaps = true;
			return;
		}
		vs->v = more;
		vs->cap = cap;
	}
	vs->v[vs->n++] = (struct pm_value){.size = sizeof(struct pm_value),
					   .num = num,
					   .key = o->key,
					   .str = {text, strlen(text)}};
}

static void
add_default(struct values *vs, const struct pm_option *o)
{
	char **more = reallocarray(vs->texts, vs->n_texts + 1, sizeof(*more)), *text;

	if (more)
		vs->texts = more;
	text = more ? strndup(o->dflt.p, o->dflt.n) : NULL;
	if (!text) {
		inst_report(vs, NULL, "no memory");
		vs->gaps = true;
		return;
	}
	vs->texts[vs->n_texts++] = text;
	add_value(vs, o, text, NULL);
}

static void
values_free(struct values *vs)
{
	for (size_t i = 0; i < vs->n_texts; i++)
		free(vs->texts[i]);
	free(vs->texts);
	free(vs->v);
}

/* All values of one option: as given, or its default. */
static void
add_option(struct values *vs, const struct pm_option *o)
{
	const struct host_spec *spec = vs->spec;
	char line[REPORT_MAX];
	size_t given = 0;

	for (size_t i = 0; i < spec->n_settings; i++) {
		const struct host_setting *s = &spec->settings[i];

		if (strlen(s->key) != o->key.n || memcmp(s->key, o->key.p, o->key.n) != 0)
			continue;
		if (given++ > 0 && !(o->flags & PM_OPTF_LIST)) {
			snprintf(line, sizeof(line), "section %s: %s is given twice", spec->section,
				 s->key);
			inst_report(vs, s, line);
			continue;
		}
		add_value(vs, o, s->value, s);
	}
	if (given > 0)
		return;
	if (o->flags & PM_OPTF_REQUIRED) {
		snprintf(line, sizeof(line), "section %s: %.*s is missing: %.*s", spec->section,
			 (int)o->key.n, o->key.p, (int)o->doc.n, o->doc.p);
		inst_report(vs, NULL, line);
		vs->gaps = true;
	} else if (o->dflt.n > 0) {
		add_default(vs, o);
	}
}

static bool
values_make(struct values *vs, const struct host_lib *lib, const struct host_spec *spec)
{
	struct pm_option o;

	memset(vs, 0, sizeof(*vs));
	vs->spec = spec;
	vs->m = host_desc(lib);
	for (size_t i = 0; i < spec->n_settings; i++)
		if (!find_option(vs->m, spec->settings[i].key, &o))
			unknown_key(vs, &spec->settings[i]);
	for (uint32_t i = 0; i < vs->m->n_options; i++) {
		o = host_desc_option(vs->m, i);
		add_option(vs, &o);
	}
	return vs->errors == 0;
}

static void
open_fill(struct pm_open *o, struct pm_report *r, struct values *vs)
{
	const struct host_spec *spec = vs->spec;

	*r = (struct pm_report){.size = sizeof(*r), .ctx = vs, .error = module_report};
	*o = (struct pm_open){
		.size = sizeof(*o),
		.permits = spec->permits,
		.purpose = spec->purpose,
		.flags = spec->flags,
		.n_options = vs->n,
		.option_stride = sizeof(struct pm_value),
		.host = spec->host,
		.report = r,
		.section = {spec->section, strlen(spec->section)},
		.state_dir = {spec->state_dir, strlen(spec->state_dir)},
		.run_dir = {spec->run_dir, strlen(spec->run_dir)},
		.options = vs->v,
		.inner = spec->inner ? spec->inner->desc : NULL,
		.inner_inst = spec->inner ? spec->inner->inst : NULL,
		.name_domain = {spec->name_domain ? spec->name_domain : "",
				spec->name_domain ? strlen(spec->name_domain) : 0},
	};
}

bool
host_check(struct host_lib *lib, const struct host_spec *spec)
{
	struct values vs;
	struct pm_open o;
	struct pm_report r;
	bool ok = values_make(&vs, lib, spec);

	/* A misspelt setting does not hide the module's errors about the others. */
	if (!vs.gaps && vs.m->life->check) {
		open_fill(&o, &r, &vs);
		int32_t rc = vs.m->life->check(&o);

		if (rc != PM_OK && vs.errors == 0)
			inst_report(&vs, NULL,
				    "the module refuses its settings and does not say why");
		ok = rc == PM_OK && vs.errors == 0;
	}
	values_free(&vs);
	return ok;
}

struct host_inst *
host_open(struct host_lib *lib, const struct host_spec *spec)
{
	struct host_inst *i = calloc(1, sizeof(*i));
	struct values vs;
	struct pm_open o;
	struct pm_report r;
	bool ok = values_make(&vs, lib, spec);

	if (i)
		i->section = strdup(spec->section);
	if (!i || !i->section) {
		inst_report(&vs, NULL, "no memory");
		ok = false;
	}
	if (ok) {
		i->lib = lib;
		i->desc = vs.m;
		i->inner = spec->inner;
		i->host = spec->host;
		open_fill(&o, &r, &vs);
		ok = vs.m->life->open(&o, &i->inst) == PM_OK;
		if (!ok && vs.errors == 0)
			inst_report(&vs, NULL,
				    "the module could not be opened and does not say why");
	}
	values_free(&vs);
	if (ok)
		return i;
	if (i)
		free(i->section);
	free(i);
	return NULL;
}

void
host_retire(struct host_inst *i)
{
	if (i && i->desc->life->retire)
		i->desc->life->retire(i->inst);
}

void
host_close(struct host_inst *i)
{
	if (!i)
		return;
	if (i->desc->life->close)
		i->desc->life->close(i->inst);
	free(i->section);
	free(i);
}
