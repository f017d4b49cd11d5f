/* SPDX-License-Identifier: Apache-2.0 */
#include "server.h"

#include <stdlib.h>
#include <string.h>

#include "conf.h"

static bool
port_number(struct pm_str s, uint16_t *ret)
{
	unsigned n = 0;

	if (s.n == 0 || s.n > 5)
		return false;
	for (size_t k = 0; k < s.n; k++) {
		if (s.p[k] < '0' || s.p[k] > '9')
			return false;
		n = n * 10 + (unsigned)(s.p[k] - '0');
	}
	*ret = (uint16_t)n;
	return n > 0 && n < 65536;
}

bool
sdk_server_split(struct pm_str v, struct pm_str *host, uint16_t *port)
{
	const char *colon = v.n > 0 ? memrchr(v.p, ':', v.n) : NULL, *close;

	*host = v;
	if (v.n > 0 && v.p[0] == '[') {
		close = memchr(v.p, ']', v.n);
		if (!close)
			return false;
		*host = (struct pm_str){v.p + 1, (size_t)(close - v.p) - 1};
		if (close + 1 == v.p + v.n)
			return host->n > 0;
		if (close[1] != ':')
			return false;
		colon = close + 1;
	} else if (!colon || (v.p[0] != '/' && memchr(v.p, ':', (size_t)(colon - v.p)))) {
		return v.n > 0; /* no port, or an IPv6 address without one */
	} else {
		host->n = (size_t)(colon - v.p);
	}
	return host->n > 0 &&
	       port_number((struct pm_str){colon + 1, (size_t)(v.p + v.n - colon) - 1}, port);
}

bool
sdk_server_remote(struct pm_str host)
{
	return host.n > 0 && host.p[0] != '/';
}

bool
sdk_server_parse(struct sdk_server *s, struct pm_str text, uint16_t usual_port)
{
	struct pm_str host;

	memset(s, 0, sizeof(*s));
	s->port = usual_port;
	if (!sdk_server_split(text, &host, &s->port))
		return false;
	s->local = !sdk_server_remote(host);
	s->label = sdk_strdup(text);
	s->host = sdk_strdup(host);
	return s->label && s->host;
}

void
sdk_server_free(struct sdk_server *s)
{
	free(s->label);
	free(s->host);
	memset(s, 0, sizeof(*s));
}
