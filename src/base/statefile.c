/* SPDX-License-Identifier: Apache-2.0 */
#include "base/statefile.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/secret.h"

#define ALIVE_PATH_MAX 4400
#define BOOT_APART (UINT64_C(60) << 1)

static uint64_t
statefile_digest(const void *p, size_t n)
{
	unsigned char md[EVP_MAX_MD_SIZE] = {0};
	uint64_t v;

	/* a digest of zeroes if it failed: then the record is damaged */
	(void)EVP_Digest(p, n, md, NULL, EVP_sha256(), NULL);
	memcpy(&v, md, sizeof(v));
	return v;
}

static uint64_t
digest_of(const void *record, size_t n)
{
	return statefile_digest((const char *)record + sizeof(struct statefile_head),
				n - sizeof(struct statefile_head));
}

/* Is this text such a record? Pure; a fuzz target. */
static enum statefile_found
statefile_judge(const void *text, size_t got, const char magic[8], size_t n)
{
	struct statefile_head h;

	if (got == 0)
		return STATEFILE_NEW;
	if (got != n || n < sizeof(h))
		return STATEFILE_DAMAGED;
	memcpy(&h, text, sizeof(h));
	if (memcmp(h.magic, magic, sizeof(h.magic)) != 0 || h.size != n ||
	    h.digest != digest_of(text, n))
		return STATEFILE_DAMAGED;
	return STATEFILE_SOUND;
}

/* A record of another size is another version's, or not ours: damaged. */
static bool
read_record(int fd, const char magic[8], void *record, size_t n, enum statefile_found *ret_found)
{
	char text[STATEFILE_MAX + 1];
	ssize_t got;

	do
		got = pread(fd, text, sizeof(text), 0);
	while (got < 0 && errno == EINTR);
	if (got < 0)
		return false;
	*ret_found = statefile_judge(text, (size_t)got, magic, n);
	memset(record, 0, n);
	if (*ret_found == STATEFILE_SOUND)
		memcpy(record, text, n);
	memcpy(((struct statefile_head *)record)->magic, magic, 8);
	((struct statefile_head *)record)->size = (uint32_t)n;
	return true;
}

static int
statefile_fail(int fd)
{
	int e = errno;

	(void)close(fd);
	errno = e;
	return -1;
}

int
statefile_open(const char *path, const char magic[8], void *record, size_t n,
	       enum statefile_found *ret_found)
{
	struct flock fl = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600), rc;

	if (fd == -1)
		return -1;
	do
		rc = fcntl(fd, F_OFD_SETLKW, &fl);
	while (rc != 0 && errno == EINTR);
	if (rc != 0 || !read_record(fd, magic, record, n, ret_found))
		return statefile_fail(fd);
	return fd;
}

int
statefile_look(const char *path, const char magic[8], void *record, size_t n,
	       enum statefile_found *ret_found)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);

	if (fd == -1)
		return -1;
	if (!read_record(fd, magic, record, n, ret_found))
		return statefile_fail(fd);
	(void)close(fd);
	return 0;
}

bool
statefile_write(int fd, void *record, size_t n)
{
	struct statefile_head *h = record;
	ssize_t w;

	h->digest = digest_of(record, n);
	do
		w = pwrite(fd, record, n, 0);
	while (w < 0 && errno == EINTR);
	if (w >= 0 && (size_t)w != n)
		errno = ENOSPC;
	return w == (ssize_t)n;
}

void
statefile_close(int fd)
{
	(void)close(fd); /* closing the descriptor ends its OFD lock */
}

/* ---- who is at work -------------------------------------------------------------------------- */

#define JOINED_MAX 8

static struct {
	pthread_once_t once;
	struct statefile_owner self;
	uint64_t boot;
	pthread_mutex_t mutex;
	/* below: under mutex */
	char *joined[JOINED_MAX]; /* directories */
} me = {.once = PTHREAD_ONCE_INIT, .mutex = PTHREAD_MUTEX_INITIALIZER};

/* Without /proc/sys (ProcSubset=pid): when this boot was, by the wall clock. An even number, and
 * those of a boot may differ by what the clock was set by. */
static uint64_t
boot_by_clock(void)
{
	int64_t began = (wall_ms() - boot_ms()) / 1000;

	return began > 0 ? (uint64_t)began << 1 : 2;
}

static void
find_self(void)
{
	char text[64] = "";
	int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
	ssize_t n = fd != -1 ? read(fd, text, sizeof(text)) : 0;

	if (fd != -1)
		(void)close(fd);
	me.self.pid = getpid();
	secret_random(&me.self.mark, sizeof(me.self.mark));
	me.boot = n > 0 ? statefile_digest(text, (size_t)n) | 1 : boot_by_clock();
}

struct statefile_owner
statefile_self(void)
{
	pthread_once(&me.once, find_self);
	return me.self;
}

bool
statefile_is_self(const struct statefile_owner *o)
{
	struct statefile_owner self = statefile_self();

	return o->pid == self.pid && o->mark == self.mark;
}

/* The file that a process keeps locked as long as it lives. */
static void
alive_path(const char *dir, const struct statefile_owner *o, char *path, size_t cap)
{
	snprintf(path, cap, "%s/alive/%d.%" PRIu64, dir, (int)o->pid, o->mark);
}

static int
alive_lock(int fd)
{
	struct flock fl = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
	int rc;

	do
		rc = fcntl(fd, F_OFD_SETLK, &fl);
	while (rc != 0 && errno == EINTR);
	return rc;
}

/* Its file can be locked by us: the process has ended. What cannot be looked at lives. */
static bool
alive_at(const char *path)
{
	int fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	bool alive;

	if (fd == -1)
		return errno != ENOENT;
	alive = alive_lock(fd) != 0;
	if (!alive)
		(void)unlink(path);
	(void)close(fd);
	return alive;
}

/* Files of processes that ended. */
static void
alive_sweep(const char *dir)
{
	char path[ALIVE_PATH_MAX];
	const struct dirent *e;
	DIR *d;

	snprintf(path, sizeof(path), "%s/alive", dir);
	d = opendir(path);
	while (d && (e = readdir(d)) != NULL) {
		if (e->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "%s/alive/%s", dir, e->d_name);
		(void)alive_at(path);
	}
	if (d)
		closedir(d);
}

/* Made and locked; the descriptor stays open to the end. One that was swept between the two steps
 * is made again. */
static bool
alive_make(const char *path)
{
	for (int tries = 0; tries < 5; tries++) {
		int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
		struct stat st;

		if (fd == -1)
			return false;
		if (alive_lock(fd) == 0 && fstat(fd, &st) == 0 && st.st_nlink > 0)
			return true;
		(void)close(fd);
	}
	errno = EAGAIN;
	return false;
}

static bool
alive_join(const char *dir)
{
	struct statefile_owner self = statefile_self();
	char path[ALIVE_PATH_MAX];

	snprintf(path, sizeof(path), "%s/alive", dir);
	if (mkdir(path, 0700) != 0 && errno != EEXIST)
		return false;
	alive_sweep(dir);
	alive_path(dir, &self, path, sizeof(path));
	return alive_make(path);
}

bool
statefile_join(const char *dir)
{
	int i = 0;
	bool ok = true;

	pthread_mutex_lock(&me.mutex);
	while (i < JOINED_MAX && me.joined[i] && strcmp(me.joined[i], dir) != 0)
		i++;
	if (i == JOINED_MAX) {
		errno = ENOSPC;
		ok = false;
	} else if (!me.joined[i]) {
		ok = alive_join(dir);
		me.joined[i] = ok ? strdup(dir) : NULL;
	}
	pthread_mutex_unlock(&me.mutex);
	return ok;
}

bool
statefile_alive(const char *dir, const struct statefile_owner *o)
{
	char path[ALIVE_PATH_MAX];

	if (statefile_is_self(o))
		return true;
	alive_path(dir, o, path, sizeof(path));
	return o->pid > 0 && alive_at(path);
}

uint64_t
statefile_boot(void)
{
	pthread_once(&me.once, find_self);
	return me.boot;
}

bool
statefile_same_boot(uint64_t a, uint64_t b)
{
	uint64_t apart = a > b ? a - b : b - a;

	return a == b || (a != 0 && b != 0 && a % 2 == 0 && b % 2 == 0 && apart <= BOOT_APART);
}
