/* SPDX-License-Identifier: Apache-2.0 */
#include "pipe/pipein.h"

#include <ctype.h>
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/utf8.h"
#include "pipe/wait.h"

#define FROM "From "
#define FROM_OCTETS 5
#define FROM_LINE_MAX 2048 /* a longer one is text */
#define DAEMON "MAILER-DAEMON"
#define DAEMON_OCTETS 13

/* ---- addresses ------------------------------------------------------------------------------- */

/* As accounts have it, without quotes: they are put in again on the wire. */
static const char *
bare_address(const char *p, size_t n, struct address *ret)
{
	memset(ret, 0, sizeof(*ret));
	for (size_t i = 0; i < n; i++) {
		if ((unsigned char)p[i] < 0x20 || p[i] == 0x7f)
			return "it has a control character";
		ret->utf8 = ret->utf8 || (unsigned char)p[i] >= 0x80;
	}
	if (!utf8_is_text(p, n))
		return "it is not UTF-8";
	memcpy(ret->text, p, n);
	ret->n = n;
	return NULL;
}

const char *
pipein_address(const char *p, size_t n, struct address *ret)
{
	char path[ADDRESS_QUOTED_MAX + 3];
	const char *wrong;
	size_t used;

	if (n > ADDRESS_MAX)
		return "it is too long";
	if (n == 0 || (n == DAEMON_OCTETS && strncasecmp(p, DAEMON, n) == 0)) {
		memset(ret, 0, sizeof(*ret));
		ret->null = true;
		return NULL;
	}
	if (*p == '<' && p[n - 1] == '>')
		return pipein_address(p + 1, n - 2, ret);
	path[0] = '<';
	memcpy(path + 1, p, n);
	path[n + 1] = '>';
	wrong = address_path(path, n + 2, &used, ret);
	if (!wrong && used == n + 2)
		return NULL;
	return *p == '"' ? wrong ? wrong : "there is more after its end" : bare_address(p, n, ret);
}

/* ---- the lines "From " ----------------------------------------------------------------------- */

/* Length of the sender in "sender Mon Jan  1 ...": up to a blank that is not in quotes. */
static size_t
sender_length(const char *p, size_t n)
{
	bool quoted = false;
	size_t i;

	for (i = 0; i < n && (quoted || (p[i] != ' ' && p[i] != '\r')); i++)
		quoted = p[i] == '"' ? !quoted : quoted;
	return i;
}

/* Is there a time of day in it, "12:08"? */
static bool
has_time(const char *p, size_t n)
{
	for (size_t i = 2; i + 2 < n; i++)
		if (p[i] == ':' && isdigit((unsigned char)p[i - 2]) &&
		    isdigit((unsigned char)p[i - 1]) && isdigit((unsigned char)p[i + 1]) &&
		    isdigit((unsigned char)p[i + 2]))
			return true;
	return false;
}

/* Octets of ">" before what may be "From ". */
static size_t
quotes_at(const struct pipein *p)
{
	size_t n = 0;

	while (p->at + n < p->n && p->buf[p->at + n] == '>')
		n++;
	return n;
}

static void
keep_sender(struct pipein *p, const char *sender, size_t n)
{
	if (p->has_from)
		return; /* the first is the server's that calls us; the others are its past */
	p->has_from = true;
	if (pipein_address(sender, sender_length(sender, n), &p->from) != NULL) {
		memset(&p->from, 0, sizeof(p->from));
		p->from.null = true;
	}
}

/* Takes a line "From ..." away. The first needs no date, as some servers write none; one after it,
 * or one with ">" (RFC 976), might be text, and does. False: there is none. */
static bool
take_from_line(struct pipein *p)
{
	size_t quotes = quotes_at(p), left = p->n - p->at;
	const char *at = p->buf + p->at, *line = at + quotes + FROM_OCTETS, *lf;

	if (p->at > PIPEIN_OCTETS / 2 || left < quotes + FROM_OCTETS ||
	    memcmp(at + quotes, FROM, FROM_OCTETS) != 0)
		return false;
	lf = memchr(at, '\n', left);
	/* "From : ann@example.org" is a header field of old (RFC 5322 section 4.5) */
	if (!lf || lf - at > FROM_LINE_MAX || line[strspn(line, " ")] == ':')
		return false;
	if ((quotes > 0 || p->has_from) && !has_time(line, (size_t)(lf - line)))
		return false;
	keep_sender(p, line, (size_t)(lf - line));
	p->at = (size_t)(lf + 1 - p->buf);
	return true;
}

/* ---- reading --------------------------------------------------------------------------------- */

/* More into buf. False: errno. */
static bool
pipein_fill(struct pipein *p)
{
	ssize_t got;

	do {
		if (!wait_ready(p->fd, POLLIN, -1))
			return false;
		got = read(p->fd, p->buf + p->n, sizeof(p->buf) - p->n);
	} while (got == -1 && (errno == EINTR || errno == EAGAIN));
	if (got == -1)
		return false;
	p->ended = got == 0;
	p->n += (size_t)got;
	return true;
}

/* Could it still become a line "From ..."? */
static bool
pipein_undecided(const struct pipein *p)
{
	size_t quotes = quotes_at(p), left = p->n - p->at, n = left - quotes;

	if (p->ended || memcmp(p->buf + p->at + quotes, FROM, n < FROM_OCTETS ? n : FROM_OCTETS))
		return false;
	return left <= FROM_LINE_MAX && !memchr(p->buf + p->at, '\n', left);
}

bool
pipein_open(struct pipein *p, int fd)
{
	p->fd = fd;
	p->ended = p->has_from = false;
	p->at = p->n = 0;
	do
		while (pipein_undecided(p))
			if (!pipein_fill(p))
				return false;
	while (take_from_line(p));
	return true;
}

bool
pipein_empty(const struct pipein *p)
{
	return p->ended && p->at == p->n;
}

ssize_t
pipein_next(struct pipein *p, const char **ret)
{
	ssize_t n;

	if (p->at == p->n && !p->ended) {
		p->at = p->n = 0;
		if (!pipein_fill(p))
			return -1;
	}
	*ret = p->buf + p->at;
	n = (ssize_t)(p->n - p->at);
	p->at = p->n;
	return n;
}

uint64_t
pipein_octets(const struct pipein *p)
{
	off_t at = lseek(p->fd, 0, SEEK_CUR);
	struct stat st;

	if (at == -1 || fstat(p->fd, &st) != 0 || !S_ISREG(st.st_mode) || st.st_size < at)
		return UINT64_MAX;
	return (uint64_t)(st.st_size - at) + (p->n - p->at);
}
