/* SPDX-License-Identifier: Apache-2.0 */
/*
 * listen - the sockets of a configuration: inherited from the service manager or bound here.
 * Main thread.
 */
#ifndef RST_LISTEN_H
#define RST_LISTEN_H

#include <stdbool.h>
#include <stddef.h>

#include "conf/conf.h"
#include "net/listener.h"

/* One struct listener per section, in the order of the file, in *ret (malloc'd). Every one that
 * cannot be opened is reported; false: none is left open. */
bool listen_open(const struct conf *c, struct conf_errors *e, struct listener **ret);

/* The socket /metrics is served on; *ret_fd -1: there is none. Likewise. */
bool listen_open_metrics(const struct conf *c, struct conf_errors *e, int *ret_fd);

#endif
