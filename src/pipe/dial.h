/* SPDX-License-Identifier: Apache-2.0 */
/* dial - a connection to restanted's LMTP listener. Main thread of a tool. */
#ifndef RST_PIPE_DIAL_H
#define RST_PIPE_DIAL_H

#include <stddef.h>

#include "conf/conf.h"

enum dial_result {
	DIAL_OK,     /* *ret_fd */
	DIAL_NOBODY, /* nobody listens there, or there is no such listener */
	DIAL_FAILED, /* somebody may, but we cannot get there: the reason is in err */
};

enum dial_result dial_path(const char *path, int *ret_fd, char *err, size_t errlen);
/* The first LMTP listener that answers, unix sockets before TCP. Those that want a proxy in
 * front or implicit TLS are not for us. */
enum dial_result dial_conf(const struct conf *c, int *ret_fd, char *err, size_t errlen);

#endif
