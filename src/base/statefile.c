/* SPDX-License-Identifier: Apache-2.0 */
#include "base/statefile.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

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

/* Field 22 of /proc/PID/stat: the start time; 0: there is no such process. */
static uint64_t
started_of(int pid)
{
	char path[40], text[1024], *p;
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd == -1)
		return 0;
	n = read(fd, text, sizeof(text) - 1);
	(void)close(fd);
	if (n <= 0)
		return 0;
	text[n] = '\0';
	p = strrchr(text, ')'); /* the name may hold anything */
	if (p && (p[1] == ' ') && (p[2] == 'Z' || p[2] == 'X'))
		return 0; /* ended, not yet waited for */
	for (int field = 2; p && field < 22; field++)
		p = strchr(p + 1, ' ');
	return p ? strtoull(p + 1, NULL, 10) : 0;
}

static struct {
	pthread_once_t once;
	struct statefile_owner self;
	uint64_t boot;
} me = {.once = PTHREAD_ONCE_INIT};

static void
find_self(void)
{
	char text[64] = "";
	int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
	ssize_t n = fd != -1 ? read(fd, text, sizeof(text)) : 0;

	if (fd != -1)
		(void)close(fd);
	me.self.pid = getpid();
	me.self.started = started_of(me.self.pid);
	me.boot = statefile_digest(text, n > 0 ? (size_t)n : 0) | 1;
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

	return o->pid == self.pid && o->started == self.started;
}

bool
statefile_alive(const struct statefile_owner *o)
{
	return statefile_is_self(o) || (o->pid > 0 && started_of(o->pid) == o->started);
}

uint64_t
statefile_boot(void)
{
	pthread_once(&me.once, find_self);
	return me.boot;
}
