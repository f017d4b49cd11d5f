/* SPDX-License-Identifier: Apache-2.0 */
/*
 * admin - the control socket run_dir/control (mode 0600): one JSON object a line in, one out, then
 * it is closed. Its thread serves sixteen connections at once, gives each five seconds for its
 * line and as many to read its answer, and waits for nobody: a verb that takes time is answered by
 * a thread of that connection's own (control.h). Neither calls a module; errands do that, with a
 * deadline. So the control socket answers while every module hangs. The same thread serves
 * /metrics (http.h).
 */
#ifndef RST_ADMIN_ADMIN_H
#define RST_ADMIN_ADMIN_H

#include <stdbool.h>

/* Main. metrics_fd: a listening socket for /metrics, taken over; -1: none. False: the reason is
 * on standard error. */
bool admin_start(const char *run_dir, int metrics_fd);
void admin_stop(void);

#endif
