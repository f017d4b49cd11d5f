/* SPDX-License-Identifier: Apache-2.0 */
#include "core/volume.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <restante/module.h>

#include "base/clock.h"
#include "base/log.h"
#include "core/errand.h"

#define LOOK_MS 1000
#define SILENT_MS 10000 /* a disk that does not answer */
#define RESERVE_NAME ".restante-reserve"
#define MIB (1u << 20)
#ifndef STATX_MNT_ID
#define STATX_MNT_ID 0x1000U
#endif
#define MNT_ID_UNIQUE 0x4000U /* from Linux 6.8 on: an ID that no later mount gets */

struct volume {
	struct volume *next; /* never changes */
	char *name;
	pthread_mutex_t mutex;
	/* below: under mutex */
	char *path, *mount;
	int64_t reserve_percent, reserve_octets, reserve_file;
	int64_t looked_ms; /* mono; 0: never */
	enum volume_state state;
	uint64_t mount_id; /* of what is mounted at `mount`; 0: nothing */
	uint64_t total, available, inodes, inodes_free, reserve, file_there;
	uint64_t refused, released;
	char text[200];
};

static pthread_mutex_t list_mutex = PTHREAD_MUTEX_INITIALIZER;
static struct volume *volumes; /* under list_mutex; records are never freed */
static _Atomic bool ticking;   /* a server: the errand looks */
static _Atomic bool looking;   /* ... and is at it */
static _Atomic int64_t due_ms;

const char *
volume_state_name(enum volume_state s)
{
	static const char *const names[] = {"ok", "low", "read-only", "not mounted", "error"};

	return names[s];
}

const char *
volume_reply(enum volume_state s)
{
	static const char *const replies[] = {
		NULL,
		"452 4.3.1 the mail system's disk is nearly full, try again later",
		"452 4.3.1 the mail system's disk is read-only, try again later",
		"451 4.3.0 the mail system's disk is not mounted, try again later",
		"451 4.3.0 the mail system's disk is out of order, try again later",
	};

	return replies[s];
}

/* ---- looking at a disk ----------------------------------------------------------------------- */

/* What one look found, without the lock. */
struct look {
	char path[PM_PATH_MAX + 1], mount[PM_PATH_MAX + 1];
	int64_t percent, octets;
	enum volume_state state;
	uint64_t mount_id;
	uint64_t total, available, inodes, inodes_free, reserve, file_there;
	char text[200];
};

/* What is mounted at this path; 0: nothing. One system call, which asks no disk and no network. */
static uint64_t
mounted_at(const char *path)
{
	const unsigned want[] = {STATX_TYPE | MNT_ID_UNIQUE, STATX_TYPE | STATX_MNT_ID};
	struct statx x;
	uint64_t id;

	for (int k = 0; k < 2; k++) {
		if (statx(AT_FDCWD, path, AT_NO_AUTOMOUNT | AT_STATX_DONT_SYNC, want[k], &x) != 0 || !S_ISDIR(x.stx_mode))
			return 0;
		if (x.stx_attributes_mask & STATX_ATTR_MOUNT_ROOT && !(x.stx_attributes & STATX_ATTR_MOUNT_ROOT))
			return 0;
		/* stx_mnt_id, which headers of glibc 2.36 do not name yet */
		memcpy(&id, (const char *)&x + offsetof(struct statx, stx_dev_minor) + sizeof(x.stx_dev_minor), sizeof(id));
		if (x.stx_mask & (MNT_ID_UNIQUE | STATX_MNT_ID))
			return id + 1; /* never 0 */
	}
	return 1;
}

static void
look_at(struct look *l)
{
	char file[PM_PATH_MAX + 32];
	struct statvfs fs;
	struct stat st;

	l->mount_id = l->mount[0] ? mounted_at(l->mount) : 0;
	if (l->mount[0] && l->mount_id == 0) {
		l->state = VOLUME_UNMOUNTED;
		snprintf(l->text, sizeof(l->text), "nothing is mounted at %.120s; mount it, or correct mount", l->mount);
		return;
	}
	if (statvfs(l->path, &fs) != 0) {
		l->state = VOLUME_ERROR;
		snprintf(l->text, sizeof(l->text), "%.120s: %s", l->path, strerrordesc_np(errno));
		return;
	}
	l->total = (uint64_t)fs.f_blocks * fs.f_frsize;
	l->available = (uint64_t)fs.f_bavail * fs.f_frsize;
	l->inodes = fs.f_files;
	l->inodes_free = fs.f_favail;
	l->reserve = l->total / 100 * (uint64_t)l->percent;
	if (l->reserve < (uint64_t)l->octets)
		l->reserve = (uint64_t)l->octets;
	snprintf(file, sizeof(file), "%s/" RESERVE_NAME, l->path);
	l->file_there = lstat(file, &st) == 0 && S_ISREG(st.st_mode) ? (uint64_t)st.st_size : 0;
	if (fs.f_flag & ST_RDONLY) {
		l->state = VOLUME_READONLY;
		snprintf(l->text, sizeof(l->text), "%.150s is mounted read-only", l->path);
	} else if (l->available < l->reserve) {
		l->state = VOLUME_LOW;
		snprintf(l->text, sizeof(l->text), "%" PRIu64 " MiB are free, the reserve is %" PRIu64 " MiB: no new mail",
			 l->available / MIB, l->reserve / MIB);
	} else if (l->inodes > 0 && l->inodes_free * 100 < l->inodes * (uint64_t)l->percent) {
		l->state = VOLUME_LOW;
		snprintf(l->text, sizeof(l->text), "%" PRIu64 " of %" PRIu64 " inodes are free, the reserve is %" PRId64
			 " percent: no new mail", l->inodes_free, l->inodes, l->percent);
	}
}

/* Real blocks, not a hole. The file is made under another name: a crash leaves none that is too small. */
static void
make_reserve(const struct look *l, int64_t size)
{
	char tmp[PM_PATH_MAX + 40], file[PM_PATH_MAX + 32];
	int fd, rc;

	snprintf(tmp, sizeof(tmp), "%s/" RESERVE_NAME ".new", l->path);
	snprintf(file, sizeof(file), "%s/" RESERVE_NAME, l->path);
	fd = open(tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	rc = fd == -1 ? errno : posix_fallocate(fd, 0, size);
	if (fd != -1)
		(void)close(fd);
	if (rc == 0 && rename(tmp, file) != 0)
		rc = errno;
	if (rc != 0) {
		if (fd != -1)
			(void)unlink(tmp);
		log_msg(LOG_LVL_WARNING, "volume", "cannot make the reserve file %s: %s; deleting may fail on a full disk",
			file, strerrordesc_np(rc));
	}
}

static void
say_change(const struct volume *v, enum volume_state before, const struct look *l, bool first)
{
	if (l->state == VOLUME_OK && !first)
		log_msg(LOG_LVL_NOTICE, "volume", "%s: ok again, was %s: new mail is taken", v->name, volume_state_name(before));
	else if (l->state != VOLUME_OK)
		log_msg(LOG_LVL_ERROR, "volume", "%s: %s: %s", v->name, volume_state_name(l->state), l->text);
}

/* reserve: a missing reserve file is made. */
static void
refresh(struct volume *v, bool reserve)
{
	struct look *l = calloc(1, sizeof(*l));
	enum volume_state before;
	int64_t file_size;
	bool first;

	if (!l)
		return; /* what was found before stays until it is too old */
	pthread_mutex_lock(&v->mutex);
	snprintf(l->path, sizeof(l->path), "%s", v->path);
	snprintf(l->mount, sizeof(l->mount), "%s", v->mount ? v->mount : "");
	l->percent = v->reserve_percent;
	l->octets = v->reserve_octets;
	file_size = v->reserve_file;
	pthread_mutex_unlock(&v->mutex);
	look_at(l);
	if (reserve && l->state == VOLUME_OK && file_size > 0 && l->file_there != (uint64_t)file_size &&
	    l->available >= l->reserve + (uint64_t)file_size) {
		make_reserve(l, file_size);
		look_at(l);
	}
	pthread_mutex_lock(&v->mutex);
	before = v->state;
	first = v->looked_ms == 0;
	v->state = l->state;
	v->mount_id = l->mount_id;
	v->total = l->total;
	v->available = l->available;
	v->inodes = l->inodes;
	v->inodes_free = l->inodes_free;
	v->reserve = l->reserve;
	v->file_there = l->file_there;
	memcpy(v->text, l->text, sizeof(v->text));
	v->looked_ms = mono_ms();
	pthread_mutex_unlock(&v->mutex);
	if (first || before != l->state)
		say_change(v, before, l, first);
	free(l);
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
	char *path = strdup(cv->path), *mount = cv->mount ? strdup(cv->mount) : NULL, *old_path, *old_mount;
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
	pthread_mutex_unlock(&v->mutex);
	free(old_path);
	free(old_mount);
	return v;
}

void
volume_prepare(void)
{
	for (struct volume *v = first_volume(); v; v = v->next)
		refresh(v, true);
}

static int32_t
tick_run(struct errand *e)
{
	(void)e;
	volume_prepare();
	return PM_OK;
}

static void
tick_finish(struct errand *e, int32_t rc)
{
	(void)e;
	(void)rc; /* not even a permit: the next tick tries again */
	atomic_store(&looking, false);
}

void
volume_tick(const struct conf *c, int64_t now_ms)
{
	struct errand e = {.backend = c->volume_backend, .name = "volumes", .run = tick_run, .finish = tick_finish,
			   .deadline_ms = now_ms + 60000};

	if (!c->volume_backend || now_ms < atomic_load(&due_ms) || atomic_exchange(&looking, true))
		return;
	atomic_store(&ticking, true);
	atomic_store(&due_ms, now_ms + LOOK_MS);
	if (!errand_start(&e, CALL_GIVE_BACK, false))
		atomic_store(&looking, false);
}

/* ---- questions ------------------------------------------------------------------------------- */

static enum volume_state
state_of(struct volume *v, uint64_t octets, char *text, size_t cap)
{
	enum volume_state s;

	pthread_mutex_lock(&v->mutex);
	s = v->state;
	if (mono_ms() - v->looked_ms > SILENT_MS) {
		s = VOLUME_ERROR;
		snprintf(v->text, sizeof(v->text), "%.150s has not answered for ten seconds", v->path);
	} else if (s == VOLUME_OK && (octets > v->available || v->available - octets < v->reserve)) {
		s = VOLUME_LOW;
		snprintf(v->text, sizeof(v->text), "a message of %" PRIu64 " octets would go into the reserve", octets);
	}
	if (text)
		snprintf(text, cap, "volume %s: %s: %s", v->name, volume_state_name(s), v->text);
	pthread_mutex_unlock(&v->mutex);
	return s;
}

uint64_t
volume_mount(struct volume *v)
{
	char mount[PM_PATH_MAX + 1] = "";
	uint64_t known = 0, id;

	if (v) {
		pthread_mutex_lock(&v->mutex);
		snprintf(mount, sizeof(mount), "%s", v->mount ? v->mount : "");
		known = v->mount_id;
		pthread_mutex_unlock(&v->mutex);
	}
	if (!mount[0])
		return VOLUME_ANYWHERE;
	id = mounted_at(mount);
	if (id != known)
		refresh(v, false); /* everybody is to know at once, and the log */
	return id;
}

bool
volume_mounted(struct volume *v)
{
	return volume_mount(v) != 0;
}

bool
volume_state_there(const struct conf *c, char *err, size_t errlen)
{
	for (size_t i = 0; c->state_volume && i < c->n_volumes; i++) {
		const struct conf_volume *v = &c->volumes[i];

		if (strcmp(v->name, c->state_volume) != 0 || !v->mount || mounted_at(v->mount) != 0)
			continue;
		snprintf(err, errlen, "state_volume = %s: nothing is mounted at %s, and state_dir = %s is not made beneath; "
			 "mount it, or correct mount", v->name, v->mount, c->state_dir);
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

	pthread_mutex_lock(&v->mutex);
	looked = v->looked_ms;
	pthread_mutex_unlock(&v->mutex);
	if (looked == 0 || (!atomic_load(&ticking) && mono_ms() - looked >= LOOK_MS))
		refresh(v, true);
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

enum volume_state
volume_door(const struct conf *c, uint64_t octets, char *ret_text, size_t cap)
{
	enum volume_state first = volume_check(c->state_vol, 0, ret_text, cap);

	if (first != VOLUME_OK)
		return first; /* counts, ledgers and journals are there */
	for (size_t i = 0; i < c->n_storage; i++) {
		const struct conf_section *s = &c->storage[i];
		enum volume_state now;

		if (s->only_wrapped)
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
beneath(const char *path, const char *dir)
{
	size_t n = dir ? strlen(dir) : 0;

	while (n > 1 && dir[n - 1] == '/')
		n--;
	return n > 0 && strncmp(path, dir, n) == 0 && (n == 1 || path[n] == '/' || path[n] == '\0') ? n : 0;
}

int32_t
volume_reserve_release(const char *path)
{
	char file[PM_PATH_MAX + 32];
	struct volume *best = NULL;
	size_t best_n = 0;

	for (struct volume *v = first_volume(); v; v = v->next) {
		size_t n, m;

		pthread_mutex_lock(&v->mutex);
		n = beneath(path, v->path);
		m = beneath(path, v->mount);
		if (n < m)
			n = m;
		if (n > best_n) {
			best_n = n;
			best = v;
			snprintf(file, sizeof(file), "%s/" RESERVE_NAME, v->path);
		}
		pthread_mutex_unlock(&v->mutex);
	}
	if (!best)
		return PM_UNSUPPORTED;
	if (unlink(file) != 0)
		return PM_NOENT; /* freed already: it is made again when there is room */
	pthread_mutex_lock(&best->mutex);
	best->released++;
	best->file_there = 0;
	pthread_mutex_unlock(&best->mutex);
	log_msg(LOG_LVL_ERROR, "volume", "%s: the disk is full; the reserve file was freed so that mail can be deleted",
		best->name);
	return PM_OK;
}

void
volume_each(void (*fn)(const struct volume_status *s, void *ctx), void *ctx)
{
	for (struct volume *v = first_volume(); v; v = v->next) {
		struct volume_status s = {0};

		if (!atomic_load(&ticking)) /* else who asks would wait for a disk that hangs */
			look_if_old(v);
		s.state = state_of(v, 0, NULL, 0);
		pthread_mutex_lock(&v->mutex);
		snprintf(s.name, sizeof(s.name), "%s", v->name);
		snprintf(s.path, sizeof(s.path), "%s", v->path);
		snprintf(s.mount, sizeof(s.mount), "%s", v->mount ? v->mount : "");
		s.total = v->total;
		s.available = v->available;
		s.inodes = v->inodes;
		s.inodes_free = v->inodes_free;
		s.reserve = v->reserve;
		s.reserve_file = v->file_there;
		s.refused = v->refused;
		s.released = v->released;
		snprintf(s.text, sizeof(s.text), "%s", s.state == VOLUME_OK ? "" : v->text);
		pthread_mutex_unlock(&v->mutex);
		fn(&s, ctx);
	}
}
