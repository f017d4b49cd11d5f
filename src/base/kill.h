/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kill - places where tests/crash ends the process: before and after each durable step. Nothing at
 * all in builds without --enable-kill-points.
 */
#ifndef RST_BASE_KILL_H
#define RST_BASE_KILL_H

#ifdef RST_KILL_POINTS
/* RESTANTE_KILL_POINT=n: the n-th point passed ends the process with code 99, here or in a module
 * (sdk/kill.h), which have counts of their own; sn: here only; mn: there only. */
void kill_point(void);
#define KILL_POINT(name) kill_point()
#else
#define KILL_POINT(name) ((void)0)
#endif

#endif
