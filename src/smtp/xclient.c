/* SPDX-License-Identifier: Apache-2.0 */
/*
 * XCLIENT, as Postfix defines it: a trusted server in front of us tells for whom it speaks. That
 * goes into Received, into the log, and to account modules; limits per address still count the
 * server that is connected. Only from listed hosts, and only outside of a message; then the session
 * begins again with the greeting.
 */
#include "smtp/xclient.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "net/peer.h"

bool
xclient_allowed(const struct dsession *s)
{
	const struct conf_listener *l = s->base.listener;

	for (size_t i = 0; i < l->n_xclient; i++)
		if (peer_in(&s->connected, l->xclient[i]))
			return true;
	return false;
}

/* "[UNAVAILABLE]", "[TEMPUNAVAIL]": not known. */
static bool
xclient_known(const char *value)
{
	return value[0] != '[' && value[0] != '\0';
}

static bool
set_addr(struct peer *p, const char *value)
{
	unsigned char a[16];
	const char *text = strncasecmp(value, "IPV6:", 5) == 0 ? value + 5 : value;
	int family = strchr(text, ':') ? AF_INET6 : AF_INET;

	if (inet_pton(family, text, a) != 1 || !inet_ntop(family, a, p->host, sizeof(p->host)))
		return false;
	snprintf(p->text, sizeof(p->text), "%s", p->host);
	return true;
}

/* Sets one attribute; false: its value makes no sense. */
static bool
set_one(struct dsession *s, struct peer *p, const char *name, const char *value)
{
	if (strcasecmp(name, "ADDR") == 0)
		return !xclient_known(value) || set_addr(p, value);
	if (strcasecmp(name, "HELO") == 0 && xclient_known(value)) {
		/* whatever the listed host has put up with: trace.c and the log make it harmless */
		s->helo = arena_dup(&s->base.arena, value, strlen(value));
		return s->helo != NULL;
	}
	/* attributes that are known and of no use here */
	return strcasecmp(name, "NAME") == 0 || strcasecmp(name, "PORT") == 0 ||
	       strcasecmp(name, "PROTO") == 0 || strcasecmp(name, "LOGIN") == 0 ||
	       strcasecmp(name, "DESTADDR") == 0 || strcasecmp(name, "DESTPORT") == 0 ||
	       strcasecmp(name, "HELO") == 0;
}

enum turn
xclient_run(struct dsession *s, const struct dcommand *c)
{
	const char *at = c->args, *end = c->args + c->n;
	char name[32], value[256];
	struct peer p = *s->base.peer;
	int more;

	s->helo = NULL;
	while ((more = dparse_attribute(&at, end, name, sizeof(name), value, sizeof(value))) == 1)
		if (!set_one(s, &p, name, value))
			return dsession_fault(
				s, 501, "5.5.4",
				"XCLIENT: an attribute that is not known, or makes no sense");
	if (more == -1 || c->n == 0)
		return dsession_fault(s, 501, "5.5.4", "XCLIENT: expected NAME=value");
	*s->base.peer = p;
	dsession_forget(s);
	dsession_greet(&s->base.task);
	talk_publish(&s->base.talk);
	return TURN_ON;
}
