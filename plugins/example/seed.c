/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Made-up messages are the same in every run and cover what a POP3
 * server must get right: lines that begin with dots, bare LF, a lone CR, 8-bit text, a UTF-8
 * header, no end of the last line. Files are taken byte for byte.
 */
#include "seed.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "box.h"
#include "conf.h"

#define SEED_MS 1700000000000 /* 14 November 2023 */
#define SEED_TEXT_MAX 16384

/* ---- made-up messages ------------------------------------------------------------------------ */

static const char *const bodies[] = {
	"A plain letter.\r\nWith two lines.\r\n",
	"Dots:\r\n.\r\n..\r\n.hidden\r\nend.\r\n",
	"Bare\nline\nfeeds,\r\nmixed.\n",
	"Acht Bit: \xe4\xf6\xfc and UTF-8: \xc3\xa4\xc3\xb6\xc3\xbc\r\n",
	"A lone \r in a line, and no end of the last one",
	"",
	NULL, /* many lines */
};

#define N_BODIES (sizeof(bodies) / sizeof(bodies[0]))

static size_t
many_lines(char *to, size_t cap, uint64_t k)
{
	size_t n = 0;

	for (unsigned i = 1; i <= 200 && cap - n > 64; i++)
		n += (size_t)snprintf(to + n, cap - n, "%sLine %u of letter %llu.\r\n",
				      i % 7 ? "" : ".", i, (unsigned long long)k);
	return n;
}

static struct ram_message *
make_up(struct ram *ram, const struct ram_box *box, uint64_t k)
{
	const char *body = bodies[(k - 1) % N_BODIES];
	unsigned long long no = k;
	char text[SEED_TEXT_MAX], uidl[40];
	struct ram_message *m;
	size_t n;

	n = (size_t)snprintf(
		text, sizeof(text),
		"From: The clerk <clerk@example.org>\r\nTo: %.*s\r\nSubject: Letter %llu%s\r\n"
		"Date: Tue, 14 Nov 2023 22:13:20 +0000\r\nMessage-ID: "
		"<%llu@ram.example.org>\r\n\r\n",
		(int)box->key_n, box->key, no, k % 10 == 0 ? " f\xc3\xbcr Sie" : "", no);
	if (body)
		n += (size_t)snprintf(text + n, sizeof(text) - n, "%s", body);
	else
		n += many_lines(text + n, sizeof(text) - n, k);
	m = ram_message_new(ram, n);
	if (!m)
		return NULL;
	memcpy(m->bytes, text, n);
	ram_message_measure(m);
	snprintf(uidl, sizeof(uidl), "letter-%llu", no);
	(void)ram_message_set_uidl(m, uidl, strlen(uidl)); /* it is one */
	m->received_ms = SEED_MS + (int64_t)k * 1000;
	return m;
}

bool
ram_seed(struct ram *ram, struct ram_box *box)
{
	for (uint64_t k = 1; k <= ram->seed; k++) {
		struct ram_message *m = make_up(ram, box, k);

		if (!m || !ram_box_add(box, m)) {
			ram_message_put(m);
			return false;
		}
	}
	return true;
}

/* ---- files ----------------------------------------------------------------------------------- */

static bool
seed_read_all(int fd, unsigned char *to, size_t n)
{
	while (n > 0) {
		ssize_t got = read(fd, to, n);

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return false;
		to += got;
		n -= (size_t)got;
	}
	return true;
}

/* The unique-id of a file: its name, or where that cannot be one a number made of it. */
static void
set_file_uidl(struct ram_message *m, const char *name)
{
	uint64_t h = 14695981039346656037u;
	char text[24];

	if (ram_message_set_uidl(m, name, strlen(name)))
		return;
	for (const char *p = name; *p; p++)
		h = (h ^ (unsigned char)*p) * 1099511628211u;
	snprintf(text, sizeof(text), "f%016llx", (unsigned long long)h);
	(void)ram_message_set_uidl(m, text, strlen(text)); /* it is one */
}

/* NULL: see errno. */
static struct ram_message *
load_file(const struct ram *ram, int dirfd, const char *name)
{
	int fd = openat(dirfd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK), e;
	struct ram_message *m = NULL;
	struct stat st;

	if (fd == -1)
		return NULL;
	if (fstat(fd, &st) != 0)
		goto out;
	errno = EFBIG;
	if (!S_ISREG(st.st_mode) || (uint64_t)st.st_size > ram->max_bytes)
		goto out;
	errno = ENOMEM;
	m = ram_message_new(ram, (size_t)st.st_size);
	if (!m)
		goto out;
	errno = EIO; /* shorter than it was a moment ago */
	if (!seed_read_all(fd, m->bytes, m->n)) {
		free(m);
		m = NULL;
		goto out;
	}
	ram_message_measure(m);
	set_file_uidl(m, name);
	m->received_ms = (int64_t)st.st_mtim.tv_sec * 1000;
out:
	e = errno;
	(void)close(fd); /* was only read */
	errno = e;
	return m;
}

static int
is_visible(const struct dirent *d)
{
	return d->d_name[0] != '.';
}

/* C order, not the locale's: the same numbers everywhere. */
static int
by_name(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

static void
free_names(struct dirent **names, int n)
{
	for (int i = 0; i < n; i++)
		free(names[i]);
	free(names);
}

static bool
load_box(struct ram *ram, int dirfd, const char *key, char *err, size_t errlen)
{
	struct dirent **names = NULL;
	int fd = openat(dirfd, key, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW), n = -1, i = 0;
	struct ram_box *box = ram_box_get(ram, sdk_str(key));
	const char *at = ".";

	if (fd != -1)
		n = scandirat(fd, ".", &names, is_visible, by_name);
	for (; box && i < n; i++) {
		struct ram_message *m = load_file(ram, fd, at = names[i]->d_name);

		if (!m || !ram_box_add(box, m)) {
			ram_message_put(m);
			break;
		}
	}
	if (!box || i != n)
		snprintf(err, errlen, "'%s/%s': %s", key, at, strerrordesc_np(errno));
	free_names(names, n);
	if (fd != -1)
		(void)close(fd); /* was only read */
	return box && i == n;
}

bool
ram_seed_load(struct ram *ram, const char *dir, char *err, size_t errlen)
{
	struct dirent **names = NULL;
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC), n = -1;
	uint64_t seed = ram->seed;
	bool ok;

	if (fd != -1)
		n = scandirat(fd, ".", &names, is_visible, by_name);
	ok = n >= 0;
	if (!ok)
		snprintf(err, errlen, "'%s': %s", dir, strerrordesc_np(errno));
	ram->seed = 0; /* a mailbox with files needs no made-up messages */
	for (int i = 0; ok && i < n; i++)
		ok = load_box(ram, fd, names[i]->d_name, err, errlen);
	ram->seed = seed;
	free_names(names, n);
	if (fd != -1)
		(void)close(fd); /* was only read */
	return ok;
}
