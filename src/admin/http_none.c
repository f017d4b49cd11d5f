/* SPDX-License-Identifier: Apache-2.0 */
/* Built without libmicrohttpd: no listener. conf/check.c refuses a configuration with one. */
#include <unistd.h>

#include "admin/http.h"

bool
http_start(int fd)
{
	(void)close(fd);
	return false;
}

void
http_stop(void)
{
}

int
http_fd(void)
{
	return -1;
}

int64_t
http_due_ms(int64_t now_ms)
{
	(void)now_ms;
	return INT64_MAX;
}

void
http_run(int64_t now_ms)
{
	(void)now_ms;
}
