/* SPDX-License-Identifier: Apache-2.0 */
#include "from_line.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>
#include <unistd.h>

#include "parse.h"

#define PIECE 8192

/* Takes the sender from Return-Path, which is a head line if the host put one there; in a From_
 * line it is one word. */
void
from_line_sender(struct pm_str head, char *sender)
{
	static const char name[] = "Return-Path:";
	const char *end = head.p + head.n;
	size_t n = 0;

	for (const char *line = head.p, *lf; line < end; line = lf + 1) {
		const char *open, *close;

		lf = memchr(line, '\n', (size_t)(end - line));
		if (!lf)
			lf = end - 1;
		if ((size_t)(lf - line) < sizeof(name) ||
		    strncasecmp(line, name, sizeof(name) - 1) != 0)
			continue;
		open = memchr(line, '<', (size_t)(lf - line));
		close = open ? memrchr(open, '>', (size_t)(lf - open)) : NULL;
		for (const char *p = open ? open + 1 : lf; close && p < close && n < SENDER_MAX;
		     p++)
			sender[n++] = (unsigned char)*p > 0x20 && *p != 0x7f ? *p : '_';
		break;
	}
	sender[n] = '\0';
	if (n == 0)
		snprintf(sender, SENDER_MAX + 1, "MAILER-DAEMON");
}

void
from_line_sender_in(int fd, char *sender)
{
	char buf[1024];
	ssize_t got = pread(fd, buf, sizeof(buf), 0);
	const char *lf = got > 0 ? memchr(buf, '\n', (size_t)got) : NULL;

	from_line_sender((struct pm_str){buf, lf ? (size_t)(lf + 1 - buf) : 0}, sender);
}

char *
from_line_make(const char *before, const char *sender, int64_t received_ms, const char *head,
	       size_t head_n, size_t *ret_n)
{
	time_t when = (time_t)(received_ms / 1000);
	size_t cap = SENDER_MAX + 100 + head_n;
	char date[40], *lead = malloc(cap);
	struct tm tm;

	if (!lead)
		return NULL;
	(void)gmtime_r(&when, &tm); /* RFC 4155: UTC */
	(void)strftime(date, sizeof(date), "%a %b %e %H:%M:%S %Y", &tm);
	*ret_n = (size_t)snprintf(lead, cap, "%sFrom %s %s\n", before, sender, date);
	if (head_n > 0)
		memcpy(lead + *ret_n, head, head_n);
	*ret_n += head_n;
	return lead;
}

static bool
one_found(void *ctx, const struct mbox_found *f)
{
	*(struct mbox_found *)ctx = *f;
	return true;
}

int
from_line_foresee(const char *lead, size_t lead_n, int fd, uint64_t size, enum mbox_quoting how,
		  struct mbox_found *ret)
{
	struct mbox_parse p = {.how = how, .message = one_found, .ctx = ret};
	char buf[PIECE];
	bool ok = parse_init(&p, 0) && parse_feed(&p, lead, lead_n);
	ssize_t got;

	for (uint64_t at = 0; ok && at < size; at += (uint64_t)got) {
		got = pread(fd, buf, sizeof(buf), (off_t)at);
		ok = got > 0 && parse_feed(&p, buf, (size_t)got);
	}
	ok = ok && parse_feed(&p, "\n", 1) && parse_end(&p);
	parse_free(&p);
	return ok ? 0 : EIO;
}
