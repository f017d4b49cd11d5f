/* SPDX-License-Identifier: Apache-2.0 */
/*
 * admin - the control socket run_dir/control (mode 0600): one JSON object a line in, one out, then
 * closed. Its thread serves sixteen callers at once, gives each five seconds for its line and as
 * many to read its answer, and waits for nobody: a verb that takes time is waited for by a thread
 * of that caller's (caller.h). No module is called on either: what needs one is an errand, with a
 * deadline. So it answers while every module hangs. The same thread serves /metrics (http.h).
 */
#ifndef RST_ADMIN_ADMIN_H
#define RST_ADMIN_ADMIN_H

#include <stdbool.h>

/* Main. metrics_fd: a listening socket for /metrics, taken over; -1: none. False: said on
 * standard error. */
bool admin_start(const char *run_dir, int metrics_fd);
void admin_stop(void);

#endif
