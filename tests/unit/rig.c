/* SPDX-License-Identifier: Apache-2.0 */
#include "rig.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "host/toolhost.h"

char rig_log[4096], rig_errors[8192];
uint32_t rig_flags;
int64_t rig_wall_ms;

static char dir[64], made[32][200];
static size_t n_made;

/* ---- files ----------------------------------------------------------------------------------- */

const char *
rig_file(const char *name, const void *bytes, size_t n)
{
	static char path[200];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	f = fopen(path, "w");
	assert(f && fwrite(bytes, 1, n, f) == n && fclose(f) == 0);
	assert(chmod(path, 0644) == 0);
	for (size_t i = 0; i < n_made; i++)
		if (strcmp(made[i], path) == 0)
			return path;
	assert(n_made < 32);
	memcpy(made[n_made++], path, sizeof(path));
	return path;
}

static void
copy_module(const char *name)
{
	const char *top = getenv("top_builddir");
	char from[500], to[72];
	static char bytes[32 << 20];
	size_t n;
	FILE *f;

	snprintf(from, sizeof(from), "%s/.libs/%s.so", top ? top : ".", name);
	f = fopen(from, "r");
	if (!f) {
		fprintf(stderr, "%s is not there: top_builddir says where the build is\n", from);
		abort();
	}
	n = fread(bytes, 1, sizeof(bytes), f);
	assert(n > 0 && n < sizeof(bytes) && fclose(f) == 0);
	snprintf(to, sizeof(to), "%s.so", name);
	(void)rig_file(to, bytes, n);
}

const char *
rig_begin(const char *const *modules)
{
	snprintf(dir, sizeof(dir), "/tmp/rst-unit.XXXXXX");
	assert(mkdtemp(dir));
	for (; *modules; modules++)
		copy_module(*modules);
	return dir;
}

void
rig_end(void)
{
	while (n_made > 0) {
		int rc = unlink(made[--n_made]);

		/* the test removed it itself */
		assert(rc == 0 || errno == ENOENT || errno == ENOTDIR);
	}
	assert(rmdir(dir) == 0);
}

const char *
rig_dir(void)
{
	return dir;
}

/* ---- host ------------------------------------------------------------------------------------ */

static int64_t
wall_ms(void *ctx)
{
	(void)ctx;
	return rig_wall_ms ? rig_wall_ms : toolhost_wall_ms(NULL);
}

static void
log_line(void *ctx, int32_t level, struct pm_str text)
{
	size_t n = strlen(rig_log);

	(void)ctx;
	snprintf(rig_log + n, sizeof(rig_log) - n, "%d %.*s\n", level, (int)text.n, text.p);
}

const struct pm_host rig_host = TOOLHOST(toolhost_now_ms, wall_ms, log_line, toolhost_count);

/* ---- instances ------------------------------------------------------------------------------- */

static void
add_error(void *ctx, const char *file, unsigned line, const char *text)
{
	size_t n = strlen(rig_errors);

	(void)ctx;
	if (file)
		snprintf(rig_errors + n, sizeof(rig_errors) - n, "%s:%u: %s\n", file, line, text);
	else
		snprintf(rig_errors + n, sizeof(rig_errors) - n, "%s\n", text);
}

void
rig_spec(struct host_spec *spec, const struct host_setting *settings, size_t n)
{
	rig_errors[0] = '\0';
	*spec = (struct host_spec){
		.section = "test",
		.permits = 4,
		.purpose = PM_PURPOSE_TOOL,
		.flags = rig_flags,
		.state_dir = dir,
		.run_dir = dir,
		.settings = settings,
		.n_settings = n,
		.host = &rig_host,
		.error = add_error,
	};
}

struct host_inst *
rig_open(const char *name, struct host_inst *inner, ...)
{
	struct host_setting settings[16];
	struct host_spec spec;
	struct host_lib *lib;
	const char *key;
	char err[512];
	size_t n = 0;
	va_list ap;

	va_start(ap, inner);
	while ((key = va_arg(ap, const char *)) != NULL && n < 16)
		settings[n++] =
			(struct host_setting){.key = key, .value = va_arg(ap, const char *)};
	va_end(ap);
	rig_spec(&spec, settings, n);
	spec.inner = inner;
	lib = host_load(name, dir, err, sizeof(err));
	if (!lib) {
		add_error(NULL, NULL, 0, err);
		return NULL;
	}
	return host_check(lib, &spec) ? host_open(lib, &spec) : NULL;
}

/* ---- calls ----------------------------------------------------------------------------------- */

static void *
call_alloc(void *ctx, size_t n)
{
	struct rig_call *r = ctx;

	return r->n < RIG_BLOCKS ? (r->memory[r->n++] = malloc(n)) : NULL;
}

struct host_call *
rig_call_ms(struct rig_call *r, int64_t ms)
{
	memset(r, 0, sizeof(*r));
	r->call.alloc = call_alloc;
	r->call.ctx = r;
	host_call_init(&r->call, toolhost_now_ms(NULL) + ms, 1);
	return &r->call;
}

struct host_call *
rig_call(struct rig_call *r)
{
	return rig_call_ms(r, 10000);
}

void
rig_call_end(struct rig_call *r)
{
	while (r->n > 0)
		free(r->memory[--r->n]);
}
