/* SPDX-License-Identifier: Apache-2.0 */
/* server - the address of a database server, as it is written in the configuration. Pure. */
#ifndef SDK_SERVER_H
#define SDK_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <restante/module.h>

struct sdk_server {
	char *label; /* as configured, for messages */
	char *host;  /* name or address; for a socket: its path */
	uint16_t port;
	bool local; /* a unix socket */
};

/* "host", "host:port", "[::1]:port", "::1", "/path", "/path:port". *port stays when none is given.
 */
bool sdk_server_split(struct pm_str text, struct pm_str *host, uint16_t *port);
bool sdk_server_remote(struct pm_str host);
/* False: not an address, or no memory; *s is to be freed in any case. */
bool sdk_server_parse(struct sdk_server *s, struct pm_str text, uint16_t usual_port);
void sdk_server_free(struct sdk_server *s);

#endif
