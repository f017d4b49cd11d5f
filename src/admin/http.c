/* SPDX-License-Identifier: Apache-2.0 */
#include "admin/http.h"

#include <microhttpd.h>
#include <string.h>
#include <sys/socket.h>

#include "admin/metrics.h"
#include "base/clock.h"

#define CONNECTIONS 16
#define REQUEST_BYTES 16384
#define SILENCE_S 5u
#define CONNECTION_MS 15000
#define AGAIN_MS 1000

static struct {
	struct MHD_Daemon *daemon;
	int fd;    /* its epoll set */
	bool left; /* a client went: there is room */
	struct client {
		int fd; /* 0: nobody */
		int64_t until_ms;
	} clients[CONNECTIONS];
} web = {.fd = -1};

/* ---- answers --------------------------------------------------------------------------------- */

static enum MHD_Result
http_answer(struct MHD_Connection *c, unsigned status, const char *type, const char *allow,
	    struct MHD_Response *r)
{
	enum MHD_Result rc;

	if (!r)
		return MHD_NO; /* closed without an answer: no memory */
	(void)MHD_add_response_header(r, MHD_HTTP_HEADER_CONTENT_TYPE, type);
	(void)MHD_add_response_header(r, MHD_HTTP_HEADER_CONNECTION, "close");
	if (allow)
		(void)MHD_add_response_header(r, MHD_HTTP_HEADER_ALLOW, allow);
	rc = MHD_queue_response(c, status, r);
	MHD_destroy_response(r);
	return rc;
}

static enum MHD_Result
http_text(struct MHD_Connection *c, unsigned status, const char *allow, const char *text)
{
	return http_answer(c, status, "text/plain; charset=utf-8", allow,
			   MHD_create_response_from_buffer(strlen(text), (void *)(uintptr_t)text,
							   MHD_RESPMEM_PERSISTENT));
}

/* Once the header is there; a body after it is not read. */
static enum MHD_Result
http_serve(void *ctx, struct MHD_Connection *c, const char *url, const char *method,
	   const char *version, const char *data, size_t *data_n, void **request)
{
	size_t n = 0;
	char *text;

	(void)ctx;
	(void)version;
	(void)data;
	(void)data_n;
	(void)request;
	if (strcmp(url, "/metrics") != 0)
		return http_text(c, MHD_HTTP_NOT_FOUND, NULL, "only /metrics is here\n");
	if (strcmp(method, MHD_HTTP_METHOD_GET) != 0 && strcmp(method, MHD_HTTP_METHOD_HEAD) != 0)
		return http_text(c, MHD_HTTP_METHOD_NOT_ALLOWED, "GET, HEAD", "GET it\n");
	text = metrics_text(&n);
	return text ? http_answer(c, MHD_HTTP_OK, METRICS_TYPE, NULL,
				  MHD_create_response_from_buffer(n, text, MHD_RESPMEM_MUST_FREE))
		    : http_text(c, MHD_HTTP_INTERNAL_SERVER_ERROR, NULL, "no memory\n");
}

/* ---- how long a client may stay -------------------------------------------------------------- */

static void
count_client(void *ctx, struct MHD_Connection *c, void **place,
	     enum MHD_ConnectionNotificationCode what)
{
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(c, MHD_CONNECTION_INFO_CONNECTION_FD);
	struct client *free_one = NULL;

	(void)ctx;
	if (what == MHD_CONNECTION_NOTIFY_CLOSED) {
		if (*place)
			((struct client *)*place)->fd = 0;
		web.left = true;
		return;
	}
	for (size_t i = 0; i < CONNECTIONS && !free_one; i++)
		if (web.clients[i].fd == 0)
			free_one = &web.clients[i];
	if (!free_one || !info)
		return; /* there are as many places as connections */
	*free_one = (struct client){info->connect_fd, mono_ms() + CONNECTION_MS};
	*place = free_one;
}

/* A client that reads or sends a byte now and then is never silent. The library closes it when its
 * socket ends. */
static void
end_slow_clients(int64_t now_ms)
{
	for (size_t i = 0; i < CONNECTIONS; i++)
		if (web.clients[i].fd != 0 && now_ms >= web.clients[i].until_ms) {
			(void)shutdown(web.clients[i].fd, SHUT_RDWR); /* it may be gone already */
			web.clients[i].until_ms = now_ms + AGAIN_MS;
		}
}

/* ---- the admin thread ------------------------------------------------------------------------ */

bool
http_start(int fd)
{
	const union MHD_DaemonInfo *info;

	web.daemon = MHD_start_daemon(
		MHD_USE_EPOLL, 0, NULL, NULL, http_serve, NULL, MHD_OPTION_LISTEN_SOCKET, fd,
		MHD_OPTION_CONNECTION_LIMIT, (unsigned)CONNECTIONS,
		MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)REQUEST_BYTES,
		MHD_OPTION_CONNECTION_TIMEOUT, SILENCE_S, MHD_OPTION_STRICT_FOR_CLIENT, 1,
		MHD_OPTION_NOTIFY_CONNECTION, count_client, NULL, MHD_OPTION_END);
	info = web.daemon ? MHD_get_daemon_info(web.daemon, MHD_DAEMON_INFO_EPOLL_FD) : NULL;
	web.fd = info ? info->epoll_fd : -1;
	return web.fd != -1;
}

void
http_stop(void)
{
	if (web.daemon)
		MHD_stop_daemon(web.daemon); /* its sockets, too */
	web.daemon = NULL;
	web.fd = -1;
}

int
http_fd(void)
{
	return web.fd;
}

int64_t
http_due_ms(int64_t now_ms)
{
	int64_t due_ms = INT64_MAX;
	MHD_UNSIGNED_LONG_LONG ms;

	if (!web.daemon)
		return due_ms;
	if (MHD_get_timeout(web.daemon, &ms) == MHD_YES && ms < CONNECTION_MS)
		due_ms = now_ms + (int64_t)ms;
	for (size_t i = 0; i < CONNECTIONS; i++)
		if (web.clients[i].fd != 0 && web.clients[i].until_ms < due_ms)
			due_ms = web.clients[i].until_ms;
	return due_ms;
}

void
http_run(int64_t now_ms)
{
	if (!web.daemon)
		return;
	end_slow_clients(now_ms);
	do { /* once more when somebody left: only at the start of a run the library looks whether
		it may accept again */
		web.left = false;
		(void)MHD_run(web.daemon); /* fails only where there is none */
	} while (web.left);
}
