/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sockfile - the file of a listening unix socket.
 */
#ifndef RST_NET_SOCKFILE_H
#define RST_NET_SOCKFILE_H

#include <stddef.h>

struct sockfile {
	const char *path;
	unsigned mode;
	/* when started as root: the service user, who may change the directory; else NULL */
	const char *user;
	const char *owner, *group; /* NULL: the service user's */
};

/* Makes the socket and listens. Call it before there are threads, since it changes the umask. The
 * directory must belong to root, the service user or the owner, and nobody else may write to it. A
 * socket left over from a dead server is replaced; one that answers is an error. -1: the reason is
 * in err. */
int sockfile_open(const struct sockfile *f, char *err, size_t errlen);

#endif
