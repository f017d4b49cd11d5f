/* SPDX-License-Identifier: Apache-2.0 */
/* The header lines final delivery adds: RFC 5321 section 4.4, RFC 6531 section 4.3 and RFC 3848 for
 * the protocol's names. */
#include "smtp/trace.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define NAME_OCTETS 255 /* dparse_name, and XCLIENT's values */

static void
trace_date(char *to, size_t cap)
{
	time_t now = time(NULL);
	struct tm tm;

	localtime_r(&now, &tm);
	if (strftime(to, cap, "%a, %d %b %Y %H:%M:%S %z", &tm) == 0)
		*to = '\0'; /* never happens: the buffer is large enough */
}

static const char *
trace_protocol(const struct dsession *s)
{
	bool tls = conn_tls_version(&s->base.io.conn) != NULL;

	if (dsession_is_lmtp(s))
		return s->mail.utf8 ? tls ? "UTF8LMTPS" : "UTF8LMTP" : tls ? "LMTPS" : "LMTP";
	if (!s->esmtp)
		return "SMTP";
	return s->mail.utf8 ? tls ? "UTF8SMTPS" : "UTF8SMTP" : tls ? "ESMTPS" : "ESMTP";
}

/* The client's name as it may stand in Received (RFC 5322 section 3.6.7): letters, digits and what
 * else an atom has, or an address literal. A bracket or quotation mark would make the rest of the
 * field a comment or a string; it becomes "?". */
static void
trace_name(const char *helo, char *to)
{
	size_t n = strlen(helo), in = 0;
	bool literal = n > 2 && helo[0] == '[' && helo[n - 1] == ']';

	if (literal)
		in = strspn(helo + 1, "0123456789abcdefABCDEF:.IPv-");
	literal = literal && in == n - 2;
	for (size_t i = 0; i < n; i++)
		to[i] = literal || isalnum((unsigned char)helo[i]) ||
					strchr("!#$%&'*+-/=?^_`{|}~.", helo[i])
				? helo[i]
				: '?';
	to[n] = '\0';
}

size_t
trace_received(const struct dsession *s, char to[TRACE_MAX])
{
	const struct envelope *e = &s->mail;
	bool one = e->n_rcpts == 1, local = strcmp(s->base.peer->host, "local") == 0;
	bool v6 = strchr(s->base.peer->host, ':') != NULL;
	char when[64], name[NAME_OCTETS + 1] = "unknown";
	int n;

	trace_date(when, sizeof(when));
	if (s->helo && strlen(s->helo) <= NAME_OCTETS)
		trace_name(s->helo, name);
	n = snprintf(
		to, TRACE_MAX,
		"Received: from %s%s%s%s%s\r\n\tby %s with %s id %s%s%.700s%s;\r\n\t%s\r\n", name,
		local ? "" : " ([", local || !v6 ? "" : "IPv6:", local ? "" : s->base.peer->host,
		local ? "" : "])", s->base.conf->hostname, trace_protocol(s), e->id,
		one ? "\r\n\tfor <" : "", one ? e->rcpts[0].address : "", one ? ">" : "", when);
	return n < 0 ? 0 : n < TRACE_MAX ? (size_t)n : 0;
}

size_t
trace_head(const struct dsession *s, const struct target *t, char to[TRACE_MAX])
{
	int n = snprintf(to, TRACE_MAX, "Return-Path: <%s>\r\nDelivered-To: %s\r\n", s->mail.sender,
			 t->address);

	return n < 0 ? 0 : n < TRACE_MAX ? (size_t)n : 0;
}
