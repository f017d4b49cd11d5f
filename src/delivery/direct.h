/* SPDX-License-Identifier: Apache-2.0 */
/* direct - delivery without a running server: the engine itself, for one session. Main thread. */
#ifndef RST_DELIVERY_DIRECT_H
#define RST_DELIVERY_DIRECT_H

#include <stddef.h>

#include "conf/conf.h"

/*
 * Opens the modules of c and serves one LMTP session on the other end of the socket that is returned. Takes over the
 * reference to c, with or without success. As root it becomes c's service user first; another user may not.
 * -1: why is in err; one error a line of the configuration went to standard error.
 */
int direct_open(struct conf *c, struct conf_errors *e, char *err, size_t errlen);

/* After the client's end was closed: waits for the session's end, and closes the modules. */
void direct_close(void);

#endif
