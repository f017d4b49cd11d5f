/* SPDX-License-Identifier: Apache-2.0 */
/* Instances, the host they see, and calls. */
#include "inst.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/toolhost.h"
#include "kit.h"

#define PERMITS 8
#define CALL_MS 20000

struct setup setup;
char kit_errors[4096];
/* Nobody reads it; but copying a text shows a sanitizer that it is alive. */
static char said_log[8192];
_Thread_local bool kit_cancelled;
_Thread_local int kit_allocs_left = -1;
_Thread_local int kit_hurry_ms;
static _Thread_local int64_t hurried_ms;
static _Thread_local struct host_call call;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER; /* said_log, memory */

/* ---- the host -------------------------------------------------------------------------------- */

static int64_t
now_ms(void *ctx)
{
	(void)ctx;
	hurried_ms += kit_hurry_ms;
	return toolhost_now_ms(NULL) + hurried_ms;
}

int64_t
kit_now_ms(void)
{
	return toolhost_now_ms(NULL) + hurried_ms;
}

static void
log_line(void *ctx, int32_t level, struct pm_str text)
{
	size_t n;

	(void)ctx;
	pthread_mutex_lock(&mutex);
	n = strlen(said_log);
	snprintf(said_log + n, sizeof(said_log) - n, "%d %.*s\n", level, (int)text.n, text.p);
	pthread_mutex_unlock(&mutex);
}

static void
inst_count(void *ctx, struct pm_str name, int64_t delta)
{
	(void)ctx;
	EXPECT(delta >= 0, "host->count: a delta of %lld", (long long)delta);
	EXPECT(name.n > 0 && name.n < 48, "host->count: a name of %zu bytes", name.n);
	for (size_t i = 0; i < name.n; i++)
		EXPECT(strchr("abcdefghijklmnopqrstuvwxyz0123456789_", name.p[i]),
		       "host->count: '%.*s': only [a-z0-9_]", (int)name.n, name.p);
}

static const struct pm_host host = TOOLHOST(now_ms, toolhost_wall_ms, log_line, inst_count);

/* ---- instances ------------------------------------------------------------------------------- */

static void
add_error(void *ctx, const char *file, unsigned line, const char *text)
{
	size_t n = strlen(kit_errors);

	(void)ctx;
	(void)file;
	(void)line;
	snprintf(kit_errors + n, sizeof(kit_errors) - n, "%s\n", text);
}

static struct host_spec
spec_of(const struct host_setting *settings, size_t n, uint32_t permits)
{
	return (struct host_spec){.permits = permits,
				  .purpose = PM_PURPOSE_TOOL,
				  .settings = settings,
				  .n_settings = n,
				  .host = &host,
				  .error = add_error};
}

bool
kit_check(uint32_t flags)
{
	struct host_spec spec = spec_of(setup.settings, setup.n_settings, 1);

	spec.section = "conform";
	spec.state_dir = spec.run_dir = setup.work_dir;
	spec.flags = flags;
	kit_errors[0] = '\0';
	return host_check(setup.lib, &spec);
}

/* R4: arguments of open() live no longer than the call, so they are overwritten afterwards. */
static struct host_inst *
open_one(struct host_lib *lib, const struct host_setting *settings, size_t n, uint32_t permits,
	 struct host_inst *inner)
{
	char section[] = "conform", state[400], run[400];
	struct host_spec spec = spec_of(settings, n, permits);
	struct host_inst *i;

	spec.section = section;
	spec.state_dir = state;
	spec.run_dir = run;
	spec.inner = inner;
	snprintf(state, sizeof(state), "%s/state", setup.work_dir);
	snprintf(run, sizeof(run), "%s/run", setup.work_dir);
	if (!host_check(lib, &spec))
		return NULL;
	i = host_open(lib, &spec);
	memset(section, '#', sizeof(section));
	memset(state, '#', sizeof(state));
	memset(run, '#', sizeof(run));
	return i;
}

static void
thread_meets(struct inst *in, bool begin)
{
	const struct pm_life *a = in->host->desc->life,
			     *b = in->wrapped ? in->wrapped->desc->life : NULL;

	if (begin && b && b->thread_begin)
		b->thread_begin();
	if (begin && a->thread_begin)
		a->thread_begin();
	if (!begin && a->thread_end)
		a->thread_end();
	if (!begin && b && b->thread_end)
		b->thread_end();
}

struct inst *
kit_try_open(const struct host_setting *settings, size_t n, uint32_t permits)
{
	struct inst *in = calloc(1, sizeof(*in));

	EXPECT(in, "no memory");
	kit_errors[0] = '\0';
	if (setup.wrapped) {
		in->wrapped = open_one(setup.wrapped, setup.wrapped_settings, setup.n_wrapped,
				       permits, NULL);
		EXPECT(in->wrapped, "the wrapped module does not open: %s", kit_errors);
	}
	in->host = open_one(setup.lib, settings, n, permits, in->wrapped);
	if (!in->host) {
		host_close(in->wrapped);
		free(in);
		return NULL;
	}
	in->m = in->host->desc;
	in->i = in->host->inst;
	thread_meets(in, true);
	return in;
}

struct inst *
kit_open(void)
{
	struct inst *in = kit_try_open(setup.settings, setup.n_settings, PERMITS);

	EXPECT(in, "the module does not open: %s", kit_errors);
	return in;
}

void
kit_close(struct inst *in)
{
	thread_meets(in, false);
	host_close(in->host);
	host_close(in->wrapped);
	free(in);
}

/* ---- calls ----------------------------------------------------------------------------------- */

/* alloc()'s memory stays reachable, so that the search for leaks finds only the module's. */
static struct piece {
	struct piece *next;
} * pieces;

static void *
call_alloc(void *ctx, size_t n)
{
	struct piece *p;

	(void)ctx;
	if (kit_allocs_left == 0)
		return NULL;
	if (kit_allocs_left > 0)
		kit_allocs_left--;
	p = malloc(sizeof(max_align_t) + n);
	if (!p)
		return NULL;
	pthread_mutex_lock(&mutex);
	p->next = pieces;
	pieces = p;
	pthread_mutex_unlock(&mutex);
	return (char *)p + sizeof(max_align_t);
}

static int32_t
call_cancelled(void *ctx)
{
	(void)ctx;
	return kit_cancelled;
}

static struct host_call *
new_call(int64_t in_ms)
{
	static _Atomic uint64_t session = 1;

	call.alloc = call_alloc;
	call.cancelled = call_cancelled;
	call.ctx = NULL;
	host_call_init(&call, kit_now_ms() + in_ms, session++);
	return &call;
}

struct host_call *
kit_call(void)
{
	return new_call(CALL_MS);
}

const struct pm_call *
kit_pm(void)
{
	return &kit_call()->pm;
}

const struct pm_call *
kit_pm_by(int64_t in_ms)
{
	return &new_call(in_ms)->pm;
}

const char *
kit_said(void)
{
	return call.error;
}

/* ---- threads --------------------------------------------------------------------------------- */

struct kit_thread {
	pthread_t thread;
	struct inst *in;
	void (*fn)(void *arg);
	void *arg;
};

static void *
thread_main(void *arg)
{
	struct kit_thread *t = arg;

	thread_meets(t->in, true);
	t->fn(t->arg);
	thread_meets(t->in, false);
	return NULL;
}

kit_thread *
kit_thread_start(struct inst *in, void (*fn)(void *arg), void *arg)
{
	kit_thread *t = calloc(1, sizeof(*t));

	EXPECT(t, "no memory");
	t->in = in;
	t->fn = fn;
	t->arg = arg;
	EXPECT(pthread_create(&t->thread, NULL, thread_main, t) == 0, "cannot start a thread");
	return t;
}

void
kit_thread_join(kit_thread *t)
{
	EXPECT(pthread_join(t->thread, NULL) == 0, "cannot join a thread");
	free(t);
}
