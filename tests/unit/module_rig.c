/* SPDX-License-Identifier: Apache-2.0 */
#include "module_rig.h"

#include <assert.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

_Atomic int64_t skew_ms, step_ms;
_Atomic unsigned logged;
void (*clock_asked)(void);
struct host_call *call;

static struct rig_call rc;
static _Atomic int64_t stopped_ms, changed_ms; /* 0: it is now */

static int64_t
now_ms(void *ctx)
{
	skew_ms += step_ms;
	if (clock_asked)
		clock_asked();
	return (stopped_ms ? stopped_ms : rig_host.now_ms(ctx)) + skew_ms;
}

static int64_t
wall_ms(void *ctx)
{
	return changed_ms ? changed_ms + skew_ms : rig_host.wall_ms(ctx);
}

/* rig_log is one for all. */
static void
log_line(void *ctx, int32_t level, struct pm_str text)
{
	static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;

	pthread_mutex_lock(&mutex);
	rig_host.log(ctx, level, text);
	pthread_mutex_unlock(&mutex);
	logged++;
}

void
clock_stop(void)
{
	stopped_ms = rig_host.now_ms(rig_host.ctx);
}

void
clock_at(const char *path)
{
	struct stat st;

	assert(stat(path, &st) == 0);
	changed_ms = (int64_t)st.st_ctim.tv_sec * 1000 + st.st_ctim.tv_nsec / 1000000 - skew_ms;
}

int
fresh(void **state)
{
	(void)state;
	rig_wall_ms = 0;
	rig_log[0] = '\0';
	step_ms = changed_ms = 0;
	clock_asked = NULL;
	call = rig_call(&rc);
	return 0;
}

int
tidy(void **state)
{
	(void)state;
	rig_call_end(&rc);
	return 0;
}

void
call_again(void)
{
	rig_call_end(&rc);
	call = rig_call(&rc);
}

struct host_inst *
clocked_open(const char *module, ...)
{
	static struct pm_host host;
	struct host_setting settings[16];
	struct host_spec spec;
	struct host_lib *lib;
	const char *key;
	size_t n = 0;
	va_list ap;

	va_start(ap, module);
	while ((key = va_arg(ap, const char *)) != NULL && n < 16)
		settings[n++] =
			(struct host_setting){.key = key, .value = va_arg(ap, const char *)};
	va_end(ap);
	host = rig_host;
	host.now_ms = now_ms;
	host.wall_ms = wall_ms;
	host.log = log_line;
	rig_spec(&spec, settings, n);
	spec.host = &host;
	lib = host_load(module, rig_dir(), rig_errors, sizeof(rig_errors));
	return lib && host_check(lib, &spec) ? host_open(lib, &spec) : NULL;
}

struct pm_user
user_named(const char *name)
{
	struct pm_user u;

	host_user_init(&u);
	u.name = (struct pm_str){name, strlen(name)};
	return u;
}

const char *
text_of(struct pm_str s)
{
	static char texts[8][400];
	static unsigned turn;
	char *text = texts[turn++ % COUNT(texts)];

	snprintf(text, sizeof(texts[0]), "%.*s", (int)s.n, s.p ? s.p : "");
	return text;
}

int32_t
verify(struct host_inst *i, const char *name, const char *password, struct pm_user *ret)
{
	struct pm_cred c;

	host_cred_init(&c);
	c.kind = PM_CRED_PASSWORD;
	c.authcid = (struct pm_str){name, strlen(name)};
	c.secret = (struct pm_str){password, strlen(password)};
	return host_verify(i, call, &c, ret);
}

const char *
dated_file(const char *name, const void *bytes, size_t n)
{
	static time_t date = 1000000000;
	const char *path = rig_file(name, bytes, n);
	struct timespec t[2] = {{.tv_sec = date}, {.tv_sec = date}};

	date++;
	assert(utimensat(AT_FDCWD, path, t, 0) == 0);
	skew_ms += 2000;
	return path;
}
