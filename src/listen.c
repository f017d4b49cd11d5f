/* SPDX-License-Identifier: Apache-2.0 */
#include "listen.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "pop3/session.h"
#include "sd.h"

#define ERROR_MAX 256

static bool
open_one(const struct conf_listener *cl, struct conf_errors *e, struct listener *ret)
{
	char err[ERROR_MAX];
	bool v6 = false;

	ret->fd = sd_listen_find(cl->address, cl->port);
	if (ret->fd != -1)
		listener_tune(ret->fd, cl->sndbuf);
	else
		ret->fd = listener_open(cl->address, cl->port, cl->sndbuf, err, sizeof(err));
	if (ret->fd == -1) {
		conf_error(e, &cl->where, "listener %s: %s", cl->name, err);
		return false;
	}
	for (const char *p = cl->address; *p; p++)
		v6 = v6 || *p == ':';
	snprintf(ret->name, sizeof(ret->name), "%s", cl->name);
	snprintf(ret->address, sizeof(ret->address), v6 ? "[%s]:%u" : "%s:%u", cl->address,
		 (unsigned)listener_port(ret->fd));
	ret->implicit_tls = cl->tls == CONF_TLS_IMPLICIT;
	ret->session_new = pop3_session_new;
	ret->busy_text = "-ERR [SYS/TEMP] too many connections, try again later\r\n";
	return true;
}

bool
listen_open(const struct conf *c, struct conf_errors *e, struct listener **ret)
{
	struct listener *l = calloc(c->n_listeners, sizeof(*l));
	bool ok = l != NULL;

	for (size_t i = 0; l && i < c->n_listeners; i++)
		ok = open_one(&c->listeners[i], e, &l[i]) && ok;
	if (ok) {
		*ret = l;
		return true;
	}
	for (size_t i = 0; l && i < c->n_listeners; i++)
		if (l[i].fd > 0)
			(void)close(l[i].fd); /* nothing was accepted from it */
	free(l);
	return false;
}
