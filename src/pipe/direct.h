/* SPDX-License-Identifier: Apache-2.0 */
/*
 * direct - delivery without a running server: the engine in this process, with one session at one
 * end of a socket pair. The other end speaks LMTP to it, as to a server: one way of delivering, one
 * set of rules. Main thread.
 */
#ifndef RST_PIPE_DIRECT_H
#define RST_PIPE_DIRECT_H

#include "conf/conf.h"

/*
 * Becomes the user the server runs as (root only; anybody else must be it already), opens the
 * configured modules, and returns the client's end. -1: the reason is in err, and in e if it is
 * the configuration. verbose: the log goes to standard error. c's reference is taken over.
 */
int direct_open(struct conf *c, bool verbose, struct conf_errors *e, char *err, size_t errlen);

/* After the client's end was closed: waits until no store holds anything half done, and ends all.
 * False: a module does not come back; the process had better end by _exit. */
bool direct_close(void);

#endif
