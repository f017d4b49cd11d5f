/* SPDX-License-Identifier: Apache-2.0 */
#include "listen.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "net/sockfile.h"
#include "pop3/step.h"
#include "sd.h"
#include "smtp/dstep.h"

#define ERROR_MAX 1024

/* By the configuration in force: a reload may name other proxies. */
static enum proxy_policy
policy_of(const struct listener *l, const struct peer *p)
{
	struct conf *c = conf_current();
	const struct conf_listener *cl = c ? conf_find_listener(c, l->name) : NULL;
	enum proxy_policy policy = PROXY_OFF;

	if (cl && cl->proxy == CONF_PROXY_REQUIRED)
		policy = PROXY_STRANGER;
	for (size_t i = 0; policy == PROXY_STRANGER && i < cl->n_proxy_from; i++)
		if (peer_in(p, cl->proxy_from[i]))
			policy = PROXY_TRUSTED;
	conf_put(c);
	return policy;
}

/* When started as root the socket's file is the service user's, so that the server may remove
 * it. */
static int
listen_open_socket(const struct conf *c, const struct conf_listener *cl, char *err, size_t errlen)
{
	const struct sockfile f = {.path = cl->path,
				   .mode = cl->mode,
				   .user = geteuid() == 0 ? c->user : NULL,
				   .owner = cl->owner,
				   .group = cl->group};
	int fd = cl->path ? sd_listen_find(cl->path, 0) : sd_listen_find(cl->address, cl->port);

	if (fd != -1)
		listener_tune(fd, cl->sndbuf);
	else if (cl->path)
		fd = sockfile_open(&f, err, errlen);
	else
		fd = listener_open(cl->address, cl->port, cl->sndbuf, err, errlen);
	return fd;
}

static bool
listen_open_one(const struct conf *c, const struct conf_listener *cl, struct conf_errors *e,
		struct listener *ret)
{
	char err[ERROR_MAX];

	ret->fd = listen_open_socket(c, cl, err, sizeof(err));
	if (ret->fd == -1) {
		conf_error(e, &cl->where, "listener %s: %s", cl->name, err);
		return false;
	}
	snprintf(ret->name, sizeof(ret->name), "%s", cl->name);
	if (cl->path)
		snprintf(ret->address, sizeof(ret->address), "%s", cl->path);
	else
		snprintf(ret->address, sizeof(ret->address),
			 strchr(cl->address, ':') ? "[%s]:%u" : "%s:%u", cl->address,
			 (unsigned)listener_port(ret->fd));
	ret->implicit_tls = cl->tls == CONF_TLS_IMPLICIT;
	ret->session_new = cl->protocol == CONF_POP3 ? pop3_session_new : delivery_session_new;
	ret->proxy_policy = policy_of;
	ret->busy_text = cl->protocol == CONF_POP3
				 ? "-ERR [SYS/TEMP] too many connections, try again later\r\n"
				 : "421 4.3.2 too many connections, try again later\r\n";
	return true;
}

bool
listen_open(const struct conf *c, struct conf_errors *e, struct listener **ret)
{
	struct listener *l = calloc(c->n_listeners, sizeof(*l));
	bool ok = l != NULL;

	for (size_t i = 0; l && i < c->n_listeners; i++)
		ok = listen_open_one(c, &c->listeners[i], e, &l[i]) && ok;
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

bool
listen_open_metrics(const struct conf *c, struct conf_errors *e, int *ret_fd)
{
	char err[ERROR_MAX];

	*ret_fd = -1;
	if (!c->metrics.name)
		return true;
	*ret_fd = listen_open_socket(c, &c->metrics, err, sizeof(err));
	if (*ret_fd == -1)
		conf_error(e, &c->metrics.where, "metrics: %s", err);
	return *ret_fd != -1;
}
