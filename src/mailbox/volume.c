/* SPDX-License-Identifier: Apache-2.0 */
#include "mailbox/volume.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <restante/module.h>

#include "base/clock.h"
#include "base/log.h"
#include "mailbox/disk.h"
#include "module/errand.h"

#define VOLUME_ANYWHERE UINT64_MAX /* no mount point is expected */
#define LOOK_MS 1000
#define MIB (1u << 20)
#define BLOCK 4096u     /* a file system's: what a message takes is rounded up to it */
#define SILENT_MS 10000 /* a disk that does not answer */

struct volume {
	struct volume *next; /* never changes */
	char *name;
	_Atomic bool looking; /* an errand is looking at it */
	pthread_mutex_t mutex;
	/* below: under mutex */
	char *path, *mount;
	int64_t reserve_percent, reserve_octets, reserve_file;
	int64_t looked_ms; /* mono; 0: never */
	struct disk_found found;
	uint64_t wrote; /* octets since that look */
	uint64_t refused, released;
	/* a reload removed its block: the last findings hold for sessions of older snapshots */
	bool retired;
};

static pthread_mutex_t list_mutex = PTHREAD_MUTEX_INITIALIZER;
static struct volume *volumes; /* under list_mutex; records are never freed */
static _Atomic bool ticking;   /* a server: errands look */
static _Atomic int64_t due_ms;

int32_t
volume_code(enum volume_state s)
{
	return s == VOLUME_OK                            ? PM_OK
	       : s == VOLUME_LOW || s == VOLUME_READONLY ? PM_NOSPACE
							 : PM_TEMP;
}

const char *
volume_state_name(enum volume_state s)
{
	static const char *const names[] = {"ok", "low", "read-only", "not mounted", "error"};

	return names[s];
}

static void
say_change(const struct volume *v, enum volume_state before, const struct disk_found *l, bool first)
{
	if (l->state == VOLUME_OK && !first)
		log_msg(LOG_LVL_NOTICE, "volume", "%s: ok again, was %s: new mail is taken",
			v->name, volume_state_name(before));
	else if (l->state != VOLUME_OK)
		log_msg(LOG_LVL_ERROR, "volume", "%s: %s: %s", v->name, volume_state_name(l->state),
			l->text);
}

/* reserve: a missing reserve file is made. */
static void
volume_refresh(struct volume *v, bool reserve)
{
	struct disk *d = calloc(1, sizeof(*d));
	struct disk_found found;
	enum volume_state before;
	int64_t file_size;
	uint64_t seen;
	bool first;

	if (!d)
		return; /* the earlier findings stay until they are too old */
	pthread_mutex_lock(&v->mutex);
	snprintf(d->path, sizeof(d->path), "%s", v->path);
	snprintf(d->mount, sizeof(d->mount), "%s", v->mount ? v->mount : "");
	d->percent = v->reserve_percent;
	d->octets = v->reserve_octets;
	file_size = v->reserve_file;
	/* octets written from here on may be counted twice, until the next look */
	seen = v->wrote;
	pthread_mutex_unlock(&v->mutex);
	disk_look(d, &found);
	if (reserve && found.state == VOLUME_OK && file_size > 0 &&
	    found.file_there != (uint64_t)file_size &&
	    found.available >= found.reserve + (uint64_t)file_size) {
		disk_make_reserve(d, file_size);
		disk_look(d, &found);
	}
	free(d);
	pthread_mutex_lock(&v->mutex);
	before = v->found.state;
	first = v->looked_ms == 0;
	v->found = found;
	v->wrote -= seen < v->wrote ? seen : v->wrote; /* two looks may run side by side */
	v->looked_ms = mono_ms();
	v->retired = false; /* volume_tick will set it again */
	pthread_mutex_unlock(&v->mutex);
	if (first || before != found.state)
		say_change(v, before, &found, first);
}

/* ---- the list -------------------------------------------------------------------------------- */

static struct volume *
first_volume(void)
{
	struct volume *v;

	pthread_mutex_lock(&list_mutex);
	v = volumes; /* only grows at its head */
	pthread_mutex_unlock(&list_mutex);
	return v;
}

static struct volume *
volume_new(const char *name)
{
	struct volume *v = calloc(1, sizeof(*v));

	if (v)
		v->name = strdup(name);
	if (!v || !v->name) {
		free(v);
		return NULL;
	}
	pthread_mutex_init(&v->mutex, NULL);
	pthread_mutex_lock(&list_mutex);
	v->next = volumes;
	volumes = v;
	pthread_mutex_unlock(&list_mutex);
	return v;
}

struct volume *
volume_get(const struct conf_volume *cv)
{
	char *path = strdup(cv->path), *mount = cv->mount ? strdup(cv->mount) : NULL, *old_path,
	     *old_mount;
	struct volume *v = first_volume();

	while (v && strcmp(v->name, cv->name) != 0)
		v = v->next;
	if (!v)
		v = volume_new(cv->name);
	if (!v || !path || (cv->mount && !mount)) {
		free(path);
		free(mount);
		return NULL;
	}
	pthread_mutex_lock(&v->mutex);
	old_path = v->path;
	old_mount = v->mount;
	v->path = path;
	v->mount = mount;
	v->reserve_percent = cv->reserve_percent;
	v->reserve_octets = cv->reserve_octets;
	v->reserve_file = cv->reserve_file;
	if (v->retired)
		v->looked_ms = 0; /* like a new one: nobody has looked at it meanwhile */
	v->retired = false;
	pthread_mutex_unlock(&v->mutex);
	free(old_path);
	free(old_mount);
	return v;
}

void
volume_prepare(const struct conf *c)
{
	for (size_t i = 0; i < c->n_volumes; i++)
		volume_refresh(c->volumes[i].vol, true);
}

static bool
volume_has_volume(const struct conf *c, const struct volume *v)
{
	for (size_t i = 0; i < c->n_volumes; i++)
		if (c->volumes[i].vol == v)
			return true;
	return false;
}

/* A look that was under way when its block was removed would undo this: hence each time, not only
 * at reloads. */
static void
retire_others(const struct conf *c)
{
	for (struct volume *v = first_volume(); v; v = v->next) {
		if (volume_has_volume(c, v))
			continue;
		pthread_mutex_lock(&v->mutex);
		v->retired = true;
		pthread_mutex_unlock(&v->mutex);
	}
}

static int32_t
volume_tick_run(struct errand *e)
{
	int32_t rc = errand_enter(e, CALL_GIVE_BACK);

	if (rc == PM_OK)
		volume_refresh(e->ctx, true);
	return rc;
}

static void
volume_tick_finish(struct errand *e, int32_t rc)
{
	struct volume *v = e->ctx;

	(void)rc; /* not even a permit: the next tick tries again */
	atomic_store(&v->looking, false);
}

void
volume_tick(const struct conf *c, int64_t now_ms)
{
	struct errand e = {.backend = c->volume_backend,
			   .name = "volumes",
			   .background = true,
			   .run = volume_tick_run,
			   .finish = volume_tick_finish,
			   .deadline_ms = now_ms + 60000};

	if (now_ms < atomic_load(&due_ms))
		return;
	atomic_store(&due_ms, now_ms + LOOK_MS);
	retire_others(c);
	if (!c->volume_backend)
		return;
	atomic_store(&ticking, true);
	/* one errand each: a disk that hangs does not keep the others waiting */
	for (size_t i = 0; i < c->n_volumes; i++) {
		struct volume *v = c->volumes[i].vol;

		e.ctx = v;
		if (!atomic_exchange(&v->looking, true) && !errand_start(&e))
			atomic_store(&v->looking, false);
	}
}

/* ---- questions ------------------------------------------------------------------------------- */

static enum volume_state
state_of(struct volume *v, uint64_t octets, char *text, size_t cap)
{
	enum volume_state s;
	uint64_t more;

	pthread_mutex_lock(&v->mutex);
	s = v->found.state;
	more = octets < UINT64_MAX - v->wrote ? octets + v->wrote : UINT64_MAX;
	if (!v->retired && mono_ms() - v->looked_ms > SILENT_MS) {
		s = VOLUME_ERROR;
		snprintf(v->found.text, sizeof(v->found.text),
			 "%.150s has not answered for ten seconds", v->path);
	} else if (s == VOLUME_OK &&
		   (more > v->found.available || v->found.available - more < v->found.reserve)) {
		s = VOLUME_LOW;
		snprintf(v->found.text, sizeof(v->found.text),
			 "a message of %" PRIu64 " octets would go into the reserve of %" PRIu64
			 " MiB",
			 octets, v->found.reserve / MIB);
	}
	if (text)
		snprintf(text, cap, "volume %s: %s: %s", v->name, volume_state_name(s),
			 v->found.text);
	pthread_mutex_unlock(&v->mutex);
	return s;
}

/* The number of the mount; 0: nothing is mounted there. */
static uint64_t
volume_mount(struct volume *v)
{
	char mount[PM_PATH_MAX + 1] = "";
	uint64_t known = 0, id;

	if (v) {
		pthread_mutex_lock(&v->mutex);
		snprintf(mount, sizeof(mount), "%s", v->mount ? v->mount : "");
		known = v->found.mount_id;
		pthread_mutex_unlock(&v->mutex);
	}
	if (!mount[0])
		return VOLUME_ANYWHERE;
	id = disk_mounted_at(mount);
	if (id != known)
		volume_refresh(v, false); /* everybody is to know at once, and the log */
	return id;
}

bool
volume_mounted(struct volume *v)
{
	return volume_mount(v) != 0;
}

int32_t
volume_find(struct volume *v, uint64_t *ret_mount, char *text, size_t cap)
{
	uint64_t mount = volume_mount(v);

	if (mount == 0) {
		pthread_mutex_lock(&v->mutex);
		if (text)
			snprintf(text, cap, "volume %s: %s: nothing is mounted at %s", v->name,
				 volume_state_name(VOLUME_UNMOUNTED),
				 v->mount ? v->mount : v->path);
		pthread_mutex_unlock(&v->mutex);
		return PM_TEMP;
	}
	if (ret_mount)
		*ret_mount = mount;
	return PM_OK;
}

int32_t
volume_enter(struct volume *v, uint64_t octets, uint64_t *ret_mount, char *text, size_t cap)
{
	char found[200] = "";
	enum volume_state s = volume_check(v, octets, found, sizeof(found));

	if (s == VOLUME_OK)
		return volume_find(v, ret_mount, text, cap);
	if (text)
		snprintf(text, cap, "%s", found);
	return volume_code(s);
}

int32_t
volume_stayed(struct volume *v, uint64_t mount, char *text, size_t cap)
{
	if (volume_mount(v) == mount)
		return PM_OK;
	if (text)
		snprintf(text, cap, "volume %s: unmounted meanwhile", v->name);
	return PM_TEMP;
}

bool
volume_state_there(const struct conf *c, char *err, size_t errlen)
{
	for (size_t i = 0; c->state_volume && i < c->n_volumes; i++) {
		const struct conf_volume *v = &c->volumes[i];

		if (strcmp(v->name, c->state_volume) != 0 || !v->mount ||
		    disk_mounted_at(v->mount) != 0)
			continue;
		snprintf(err, errlen,
			 "state_volume = %s: nothing is mounted at %s, and state_dir = %s is not "
			 "made beneath; "
			 "mount it, or correct mount",
			 v->name, v->mount, c->state_dir);
		return false;
	}
	return true;
}

static void
count_refusal(struct volume *v)
{
	pthread_mutex_lock(&v->mutex);
	v->refused++;
	pthread_mutex_unlock(&v->mutex);
}

static void
look_if_old(struct volume *v)
{
	int64_t looked;
	bool retired;

	pthread_mutex_lock(&v->mutex);
	looked = v->looked_ms;
	retired = v->retired;
	pthread_mutex_unlock(&v->mutex);
	if (retired)
		return;
	if (looked == 0 || (!atomic_load(&ticking) && mono_ms() - looked >= LOOK_MS))
		volume_refresh(v, true);
}

enum volume_state
volume_check(struct volume *v, uint64_t octets, char *ret_text, size_t cap)
{
	enum volume_state s;

	if (!v)
		return VOLUME_OK;
	look_if_old(v);
	s = state_of(v, octets, ret_text, cap);
	if (s != VOLUME_OK)
		count_refusal(v);
	return s;
}

bool
volume_ready(struct volume *v)
{
	return !v || state_of(v, 0, NULL, 0) == VOLUME_OK;
}

void
volume_wrote(struct volume *v, uint64_t octets, int32_t rc)
{
	if (!v || (rc != PM_OK && rc != PM_UNKNOWN))
		return;
	pthread_mutex_lock(&v->mutex);
	v->wrote += (octets + BLOCK - 1) / BLOCK * BLOCK;
	pthread_mutex_unlock(&v->mutex);
}

enum volume_state
volume_door(const struct conf *c, uint64_t octets, char *ret_text, size_t cap)
{
	enum volume_state first = volume_check(c->state_vol, 0, ret_text, cap);

	if (first != VOLUME_OK)
		return first; /* it holds counts, ledgers and journals */
	for (size_t i = 0; i < c->n_storage; i++) {
		const struct conf_section *s = &c->storage[i];
		enum volume_state now;

		if (s->only_wrapped || s->for_undo)
			continue;
		now = volume_check(s->vol, octets, first == VOLUME_OK ? ret_text : NULL, cap);
		if (now == VOLUME_OK)
			return now;
		if (first == VOLUME_OK)
			first = now;
	}
	return first;
}

/* How much of `path` is beneath `dir`; 0: it is not. */
static size_t
volume_beneath(const char *path, const char *dir)
{
	size_t n = dir ? strlen(dir) : 0;

	while (n > 1 && dir[n - 1] == '/')
		n--;
	return n > 0 && strncmp(path, dir, n) == 0 && (n == 1 || path[n] == '/' || path[n] == '\0')
		       ? n
		       : 0;
}

/* How well a volume fits a path, under its mutex; 0: not at all. Those of the current
 * configuration come first. */
static size_t
volume_fits(const struct volume *v, const char *path)
{
	size_t n = volume_beneath(path, v->path), m = volume_beneath(path, v->mount);

	if (n < m)
		n = m;
	return n > 0 && !v->retired ? n + PM_PATH_MAX : n;
}

int32_t
volume_reserve_release(const char *path)
{
	char file[PM_PATH_MAX + 32];
	struct volume *best = NULL;
	size_t best_n = 0;

	for (struct volume *v = first_volume(); v; v = v->next) {
		size_t n;

		pthread_mutex_lock(&v->mutex);
		n = volume_fits(v, path);
		if (n > best_n) {
			best_n = n;
			best = v;
			snprintf(file, sizeof(file), "%s/" DISK_RESERVE_NAME, v->path);
		}
		pthread_mutex_unlock(&v->mutex);
	}
	if (!best)
		return PM_UNSUPPORTED;
	if (unlink(file) != 0)
		return PM_NOENT; /* freed already: it is made again when there is room */
	pthread_mutex_lock(&best->mutex);
	best->released++;
	best->found.file_there = 0;
	pthread_mutex_unlock(&best->mutex);
	log_msg(LOG_LVL_ERROR, "volume",
		"%s: the disk is full; the reserve file was freed so that mail can be deleted",
		best->name);
	return PM_OK;
}

void
volume_each(const struct conf *c, void (*fn)(const struct volume_status *s, void *ctx), void *ctx)
{
	for (size_t i = 0; i < c->n_volumes; i++) {
		struct volume *v = c->volumes[i].vol;
		struct volume_status s = {0};

		/* otherwise the caller would wait for a disk that hangs */
		if (!atomic_load(&ticking))
			look_if_old(v);
		s.state = state_of(v, 0, NULL, 0);
		pthread_mutex_lock(&v->mutex);
		snprintf(s.name, sizeof(s.name), "%s", v->name);
		snprintf(s.path, sizeof(s.path), "%s", v->path);
		snprintf(s.mount, sizeof(s.mount), "%s", v->mount ? v->mount : "");
		s.total = v->found.total;
		s.available = v->found.available;
		s.inodes = v->found.inodes;
		s.inodes_free = v->found.inodes_free;
		s.reserve = v->found.reserve;
		s.reserve_file = v->found.file_there;
		s.refused = v->refused;
		s.released = v->released;
		snprintf(s.text, sizeof(s.text), "%s", s.state == VOLUME_OK ? "" : v->found.text);
		pthread_mutex_unlock(&v->mutex);
		fn(&s, ctx);
	}
}
