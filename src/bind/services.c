/* SPDX-License-Identifier: Apache-2.0 */
#include "bind/services.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "account/caches.h"
#include "base/clock.h"
#include "base/clock_note.h"
#include "base/log.h"
#include "mailbox/volume.h"
#include "module/backend.h"

#define COUNTERS_MAX 64 /* names a section may use */
#define COUNTER_NAME 48

struct service {
	struct service *next;
	struct pm_host host;
	char *section;
	pthread_mutex_t mutex;
	/* below: under mutex */
	struct {
		char name[COUNTER_NAME];
		int64_t value;
	} counters[COUNTERS_MAX];
	size_t n;
};

static pthread_mutex_t list_mutex = PTHREAD_MUTEX_INITIALIZER;
static struct service *services; /* under list_mutex; records are never freed */

static int64_t
svc_now(void *ctx)
{
	(void)ctx;
	return mono_ms();
}

static int64_t
svc_wall(void *ctx)
{
	(void)ctx;
	return wall_ms();
}

static int64_t
svc_expire(void *ctx)
{
	(void)ctx;
	return clock_expire_ms();
}

static void
svc_log(void *ctx, int32_t level, struct pm_str text)
{
	const struct service *s = ctx;
	struct log_line l;

	if (level < LOG_LVL_ERROR)
		level = LOG_LVL_ERROR;
	if (level > LOG_LVL_DEBUG || !log_wanted(level))
		return;
	log_begin(&l, level, "module");
	log_cstr(&l, "section", s->section);
	log_textf(&l, "%.*s", (int)(text.n < 1000 ? text.n : 1000), text.p ? text.p : "");
	log_end(&l);
}

static void
svc_count(void *ctx, struct pm_str name, int64_t delta)
{
	struct service *s = ctx;
	size_t i = 0;

	if (name.n == 0 || name.n >= COUNTER_NAME || delta < 0)
		return;
	pthread_mutex_lock(&s->mutex);
	while (i < s->n && (strlen(s->counters[i].name) != name.n ||
			    memcmp(s->counters[i].name, name.p, name.n) != 0))
		i++;
	if (i == s->n && s->n < COUNTERS_MAX)
		memcpy(s->counters[s->n++].name, name.p, name.n); /* zeroed after it */
	if (i < s->n)
		s->counters[i].value += delta;
	pthread_mutex_unlock(&s->mutex);
}

static void
svc_invalidate(void *ctx, struct pm_str name)
{
	const struct service *s = ctx;

	caches_forget(s->section, name);
}

static int32_t
svc_reserve_release(void *ctx, struct pm_str path)
{
	char text[PM_PATH_MAX + 1];

	(void)ctx;
	if (path.n >= sizeof(text))
		return PM_UNSUPPORTED;
	memcpy(text, path.p, path.n);
	text[path.n] = '\0';
	return volume_reserve_release(text);
}

static struct service *
service_new(const char *section)
{
	struct service *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->section = strdup(section);
	if (!s->section) {
		free(s);
		return NULL;
	}
	pthread_mutex_init(&s->mutex, NULL);
	s->host = (struct pm_host){
		.size = sizeof(s->host),
		.abi_minor = PM_ABI_MINOR,
		.ctx = s,
		.now_ms = svc_now,
		.wall_ms = svc_wall,
		.log = svc_log,
		.count = svc_count,
		.invalidate = svc_invalidate,
		.reserve_release = svc_reserve_release,
		.expire_ms = svc_expire,
	};
	s->next = services;
	services = s;
	return s;
}

const struct pm_host *
services_host(const char *section)
{
	struct service *s;

	pthread_mutex_lock(&list_mutex);
	for (s = services; s && strcmp(s->section, section) != 0; s = s->next)
		;
	if (!s)
		s = service_new(section);
	pthread_mutex_unlock(&list_mutex);
	return s ? &s->host : NULL;
}

void
services_each_counter(void (*fn)(const char *section, const char *name, int64_t value, void *ctx),
		      void *ctx)
{
	struct service *s;

	pthread_mutex_lock(&list_mutex);
	s = services; /* only grows at its head */
	pthread_mutex_unlock(&list_mutex);
	for (; s; s = s->next) {
		for (size_t i = 0; i < COUNTERS_MAX; i++) {
			char name[COUNTER_NAME];
			int64_t value = 0;
			bool there;

			pthread_mutex_lock(&s->mutex);
			there = i < s->n;
			if (there) {
				memcpy(name, s->counters[i].name, sizeof(name));
				value = s->counters[i].value;
			}
			pthread_mutex_unlock(&s->mutex);
			if (!there)
				break;
			fn(s->section, name, value, ctx);
		}
	}
}
