/* SPDX-License-Identifier: Apache-2.0 */
#include "mariadb.h"

#include <errmsg.h>
#include <errno.h>
#include <mysql.h>
#include <mysqld_error.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>

#define CLOSE_MS 100
#define SPARE_S 5 /* the library's time-outs are the second line of defence */

struct sdk_my {
	MYSQL *my;
	const struct pm_host *host;
	struct sdk_watch *watch;
	struct sdk_watched *socket; /* between begin and end */
	int64_t until_ms;
	bool connected;
};

/* The hook gets no argument of ours, so this is the call that the thread makes. */
static _Thread_local struct sdk_my *current;

static int64_t
left_ms(const struct sdk_my *c)
{
	int64_t left = c->until_ms - c->host->now_ms(c->host->ctx);

	return left > 0 ? left : 0;
}

static int
io_wait(my_socket fd, my_bool is_read, int timeout)
{
	struct pollfd p = {.fd = fd, .events = is_read ? POLLIN : POLLOUT};
	struct sdk_my *c = current;
	int rc;

	if (!c)
		return poll(&p, 1, timeout);
	if (!c->connected && !c->socket &&
	    !(c->socket = sdk_watch_begin(c->watch, fd, c->until_ms))) {
		errno = ENOMEM;
		return -1;
	}
	do
		rc = poll(&p, 1, (int)left_ms(c));
	while (rc == -1 && errno == EINTR && left_ms(c) > 0);
	if (rc == 0)
		errno = ETIMEDOUT;
	return rc;
}

int32_t
sdk_my_global_init(void)
{
	return mysql_library_init(0, NULL, NULL) == 0 ? PM_OK : PM_TEMP;
}

bool
sdk_my_lost(unsigned code)
{
	switch (code) {
	case CR_CONNECTION_ERROR:
	case CR_CONN_HOST_ERROR:
	case CR_SERVER_GONE_ERROR:
	case CR_SERVER_LOST:
	case CR_SERVER_LOST_EXTENDED:
	case CR_SSL_CONNECTION_ERROR:
	case CR_COMMANDS_OUT_OF_SYNC:
	case CR_MALFORMED_PACKET:
	case ER_SERVER_SHUTDOWN:
	case ER_CONNECTION_KILLED:
	case ER_UNKNOWN_COM_ERROR: /* a Galera node that is not part of its cluster */
	case ER_NEW_ABORTING_CONNECTION:
		return true;
	default:
		return false;
	}
}

/* ---- connecting ------------------------------------------------------------------------------ */

static void
mariadb_set_options(struct sdk_my *c, const struct sdk_my_access *a, const struct sdk_server *s)
{
	unsigned seconds = (unsigned)(left_ms(c) / 1000) + SPARE_S, off = 0;
	size_t packet = a->packet_max;
	my_bool yes = 1;

	mysql_optionsv(c->my, MYSQL_OPT_CONNECT_TIMEOUT, &seconds);
	mysql_optionsv(c->my, MYSQL_OPT_READ_TIMEOUT, &seconds);
	mysql_optionsv(c->my, MYSQL_OPT_WRITE_TIMEOUT, &seconds);
	mysql_optionsv(c->my, MARIADB_OPT_IO_WAIT, io_wait);
	mysql_optionsv(c->my, MYSQL_SET_CHARSET_NAME, "utf8mb4");
	mysql_optionsv(c->my, MYSQL_OPT_LOCAL_INFILE,
		       &off); /* a server must not ask for our files */
	mysql_optionsv(c->my, MYSQL_OPT_MAX_ALLOWED_PACKET, &packet);
	if (a->tls && !s->local) {
		mysql_optionsv(c->my, MYSQL_OPT_SSL_ENFORCE, &yes);
		mysql_optionsv(c->my, MYSQL_OPT_SSL_CA, a->tls_ca);
		mysql_optionsv(c->my, MYSQL_OPT_SSL_VERIFY_SERVER_CERT, &yes);
	}
}

/* Explains a refused login, and suggests a remedy. A server's message is a foreign text. */
static int32_t
mariadb_refused(struct sdk_my *c, const struct sdk_server *s, char *why, size_t cap)
{
	unsigned code = mysql_errno(c->my);
	const char *hint = "";

	if (left_ms(c) == 0) {
		snprintf(why, cap, "%s: accepted no connection in time", s->label);
		return PM_TIMEOUT;
	}
	if (code == ER_ACCESS_DENIED_ERROR || code == ER_DBACCESS_DENIED_ERROR ||
	    code == ER_BAD_DB_ERROR)
		hint = "; see user, password, database";
	else if (code == CR_SSL_CONNECTION_ERROR)
		hint = "; see tls, tls_ca";
	snprintf(why, cap, "%s: %u: %.120s%s", s->label, code, mysql_error(c->my), hint);
	for (char *p = why; *p; p++)
		if ((unsigned char)*p < 0x20 || *p == 0x7f)
			*p = ' ';
	return code == CR_OUT_OF_MEMORY ? PM_NOMEM : PM_DOWN;
}

static void
mariadb_dial(struct sdk_my *c, const struct sdk_my_access *a, const struct sdk_server *s)
{
	current = c;
	c->connected = mysql_real_connect(c->my, s->local ? NULL : s->host, a->user, a->password,
					  a->database, s->port, s->local ? s->host : NULL,
					  a->flags) != NULL;
	current = NULL;
	sdk_watch_end(c->watch, c->socket);
	c->socket = NULL;
}

int32_t
sdk_my_connect(const struct sdk_my_access *a, const struct sdk_server *s, int64_t until_ms,
	       struct sdk_my **ret, char *why, size_t cap)
{
	struct sdk_my *c = calloc(1, sizeof(*c));
	int32_t rc = PM_OK;

	if (!c || !(c->my = mysql_init(NULL))) {
		free(c);
		snprintf(why, cap, "no memory");
		return PM_NOMEM;
	}
	c->host = a->host;
	c->watch = a->watch;
	c->until_ms = until_ms;
	mariadb_set_options(c, a, s);
	mariadb_dial(c, a, s);
	if (!c->connected) {
		rc = mariadb_refused(c, s, why, cap);
	} else if (a->tls && !s->local && !mysql_get_ssl_cipher(c->my)) {
		snprintf(why, cap, "%s: the connection is not encrypted; see tls", s->label);
		rc = PM_DOWN;
	}
	if (rc == PM_OK)
		*ret = c;
	else
		sdk_my_close(c);
	return rc;
}

/* ---- in use ---------------------------------------------------------------------------------- */

struct st_mysql *
sdk_my_handle(struct sdk_my *c)
{
	return c->my;
}

/* An idle connection has nothing to read: bytes there are its end, or an answer that came too late.
 */
bool
sdk_my_stale(struct sdk_my *c)
{
	struct pollfd p = {.fd = mysql_get_socket(c->my), .events = POLLIN};

	return poll(&p, 1, 0) != 0;
}

bool
sdk_my_begin(struct sdk_my *c, int64_t until_ms)
{
	c->until_ms = until_ms;
	c->socket = sdk_watch_begin(c->watch, mysql_get_socket(c->my), until_ms);
	current = c->socket ? c : NULL;
	return c->socket;
}

bool
sdk_my_end(struct sdk_my *c)
{
	sdk_watch_end(c->watch, c->socket);
	c->socket = NULL;
	current = NULL;
	return left_ms(c) > 0;
}

void
sdk_my_close(struct sdk_my *c)
{
	if (c->connected && !c->socket)
		(void)sdk_my_begin(c, c->host->now_ms(c->host->ctx) + CLOSE_MS);
	current = c;
	mysql_close(c->my);
	sdk_watch_end(c->watch, c->socket);
	current = NULL;
	free(c);
}
